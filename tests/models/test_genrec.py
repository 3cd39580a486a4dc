"""GenRec's scores and loss, against one forward pass for each title."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.genrec.title_model import TitleModel, end_of_title
from llm4rec_recbole.training.experiment import prepare

SMALL = {"llm": "scratch-32x1", "llm_layers": None, "llm_dtype": "float32", "lora_rank": 0}
either = pytest.mark.parametrize("over", ["catalogue", "vocabulary"])


def save_model(folder, build, **more):
    """A causal model of the given build, of random weights that make its probabilities differ, with
    bytes for tokens; returned as transformers loads it."""
    import transformers

    tokenizer = transformers.ByT5Tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    special = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    config = getattr(transformers, f"{build}Config")(
        vocab_size=len(tokenizer), initializer_range=0.3, **sizes, **heads, **special, **more
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval(), tokenizer


def genrec(options, **more):
    run = prepare("GenRec", "two_cycles", options=options | SMALL | more)
    run.model.eval()
    return run


@torch.no_grad()
def log_probability(model, items, item, over):
    """log P(title of `item` | titles of `items`), token by token."""
    prompt = model.prompt + [token for i in items for token in model.titles[i]]
    title, total = model.titles[item], 0.0
    states = model.llm(input_ids=torch.tensor([prompt + title])).last_hidden_state[0]
    for position, token in enumerate(title):
        logits = model.llm.head(states[len(prompt) + position - 1])
        if over == "catalogue":
            begun = [t for t in model.titles[1:] if t[:position] == title[:position]]
            allowed = sorted({t[position] for t in begun})
            total += (logits[token] - logits[allowed].logsumexp(0)).item()
        else:
            total += (logits[token] - logits.logsumexp(0)).item()
    return total


@either
def test_a_score_is_the_log_probability_of_the_title_after_the_titles_before(options, over):
    run = genrec(options, softmax_over=over)
    held_out = run.data.test.held_out
    rows = np.array([2, 7])
    items, lengths = held_out.last(rows, run.model.max_seq_length)
    scores = run.model.score_histories(held_out, rows)
    for row in range(2):
        for item in (1, 17, 40):
            expected = log_probability(run.model, items[row, : lengths[row]], item, over)
            assert scores[row, item] == pytest.approx(expected, rel=1e-4)


@either
def test_one_pass_over_a_window_learns_every_next_title(options, over):
    model = genrec(options, softmax_over=over).model
    windows = [[3, 9, 27, 4], [5, 6]]
    terms = [
        log_probability(model, window[:position], window[position], over)
        for window in windows
        for position in range(1, len(window))
    ]
    inputs = torch.tensor([[3, 9, 27], [5, 0, 0]])
    targets = torch.tensor([[9, 27, 4], [6, 0, 0]])
    batch = {model.ITEM_SEQ: inputs, model.ITEM_ID: targets}
    assert model.calculate_loss(batch).item() == pytest.approx(-np.mean(terms), rel=1e-4)


@either
def test_of_recboles_rows_the_item_learns_too(options, over):
    """Under `protocol: recbole` a row is a history and the one item after it."""
    model = genrec(options, softmax_over=over).model
    sequences = {model.ITEM_SEQ: torch.tensor([[3, 9, 27], [5, 0, 0], [8, 2, 0]])}
    after = {model.ITEM_ID: torch.tensor([4, 6, 7])}
    windows = [[3, 9, 27, 4], [5, 6], [8, 2, 7]]
    terms = [
        log_probability(model, window[:position], window[position], over)
        for window in windows
        for position in range(1, len(window))
    ]
    loss = model.calculate_loss(sequences | after).item()
    assert loss == pytest.approx(-np.mean(terms), rel=1e-4)


def test_under_recboles_protocol_it_learns_the_rows_items(options):
    """The rows that its loaders give: the history without the item alone would be another loss."""
    run = genrec(options, protocol="recbole", softmax_over="vocabulary")
    batch = next(iter(run.data.train))
    model, items = run.model, batch[run.model.ITEM_ID]
    assert items.dim() == 1
    windows = [
        [*filter(None, row), item]
        for row, item in zip(batch[model.ITEM_SEQ].tolist(), items.tolist())
    ]
    longest = max(map(len, windows))
    padded = torch.tensor([window + [0] * (longest - len(window)) for window in windows])
    same = {model.ITEM_SEQ: padded[:, :-1], model.ITEM_ID: padded[:, 1:]}
    assert model.calculate_loss(batch).item() == pytest.approx(
        model.calculate_loss(same).item(), rel=1e-5
    )


def test_over_the_catalogue_the_scores_are_a_distribution_over_items(options):
    run = genrec(options)
    scores = run.model.score_histories(run.data.test.held_out, np.arange(3))
    np.testing.assert_allclose(np.exp(scores[:, 1:]).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("decoding", ["beam", "unconstrained"])
def test_beams_give_found_items_their_exact_score(options, decoding):
    run = genrec(options, softmax_over="vocabulary", decoding=decoding, beam_width=5)
    held_out, rows = run.data.test.held_out, np.arange(3)
    scores = run.model.score_histories(held_out, rows)
    run.model.decoding = "exhaustive"
    every = run.model.score_histories(held_out, rows)
    is_found = (scores > -1e8) & (scores < 0)
    assert (is_found.sum(1) <= 5).all()
    assert is_found.any() or decoding == "unconstrained"
    np.testing.assert_allclose(scores[is_found], every[is_found], rtol=1e-4)
    assert not (is_found & held_out.seen_mask(rows)).any()


@pytest.mark.parametrize("tied", [True, False])
def test_the_tokens_that_titles_use_keep_the_pretrained_models_weights(options, tmp_path, tied):
    """Scores equal those of the unchanged pretrained model, with a softmax over the used tokens."""
    pretrained, tokenizer = save_model(tmp_path / "lm", "Llama", tie_word_embeddings=tied)
    run = genrec(options, llm=str(tmp_path / "lm"), softmax_over="vocabulary")
    held_out, row = run.data.test.held_out, np.array([4])
    names = [f"item {name}\n" for name in run.data.train.dataset.field2id_token["item_id"]]
    items, lengths = held_out.last(row, run.model.max_seq_length)
    prompt = run.config["prompt"] + "\n" + "".join(names[item] for item in items[0, : lengths[0]])
    used_tokens = sorted(
        set(tokenizer.encode(prompt + "".join(names[1:]), add_special_tokens=False))
    )
    scores = run.model.score_histories(held_out, row)[0]
    for item in (1, 17, 40):
        prompt, title = (
            tokenizer.encode(text, add_special_tokens=False) for text in (prompt, names[item])
        )
        with torch.no_grad():
            logits = pretrained(torch.tensor([prompt + title])).logits[0, len(prompt) - 1 : -1]
        steps = logits[:, used_tokens].log_softmax(1)
        expected = sum(step[used_tokens.index(token)] for step, token in zip(steps, title))
        assert scores[item] == pytest.approx(expected.item(), rel=1e-4)


def test_a_history_longer_than_the_context_loses_its_oldest_titles(options):
    run = genrec(options, max_prompt_tokens=90)
    model, held_out = run.model, run.data.test.held_out
    items = list(range(1, 11))
    tokens, _ = model._pack(items)
    n_read = next(n for n in range(1, 10) if tokens == model._pack(items[-n:])[0])
    assert len(tokens) <= model.budget < len(tokens) + len(model.titles[items[-n_read - 1]])
    assert np.isfinite(model.score_histories(held_out, np.arange(2))).all()


def test_a_history_longer_than_the_model_reads_loses_its_oldest_titles(options, tmp_path):
    save_model(tmp_path / "lm", "Llama", max_position_embeddings=100)
    run = genrec(options, llm=str(tmp_path / "lm"), max_prompt_tokens=512)
    model, held_out = run.model, run.data.test.held_out
    assert model.budget == 100 - model.trie.max_depth
    assert len(model._pack(list(range(1, 11)))[0]) <= model.budget
    assert np.isfinite(model.score_histories(held_out, np.arange(2))).all()


def test_titles_that_do_not_fit_at_all_are_refused(options):
    with pytest.raises(InputError, match="does not fit into 20"):
        genrec(options, max_prompt_tokens=20)


def test_unusual_titles_get_different_tokens(options, two_cycles, tmp_path):
    """No title, one of 2,000 characters, and one title for several items."""
    folder = tmp_path / "titled" / "two_cycles"
    folder.mkdir(parents=True)
    (folder / "two_cycles.inter").write_text(
        (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    )
    titles = {0: "", 1: "x" * 2000, 2: "x" * 1999}
    rows = [f"i{item}\t{titles.get(item, 'Same')}" for item in range(40)]
    (folder / "two_cycles.item").write_text(
        "\n".join(["item_id:token\tmovie_title:token_seq", *rows]) + "\n"
    )
    run = genrec(options, data_path=str(folder.parent))
    scores = run.model.score_histories(run.data.test.held_out, np.arange(2))
    assert len({tuple(title) for title in run.model.titles[1:]}) == 40
    assert np.isfinite(scores).all()


def test_a_language_model_of_another_build_is_refused(options, tmp_path):
    from transformers import ByT5Tokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = ByT5Tokenizer()
    config = GPT2Config(n_embd=16, n_layer=1, n_head=1, vocab_size=len(tokenizer))
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt")
    tokenizer.save_pretrained(tmp_path / "gpt")
    for layers in (None, 1):
        with pytest.raises(InputError, match="is a GPT2LMHeadModel, whose structure"):
            genrec(options, llm=str(tmp_path / "gpt"), llm_layers=layers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("build", "more", "reason"),
    [
        ("Llama", {}, None),
        ("Qwen2", {}, None),
        ("Qwen3", {}, None),
        ("Mistral", {"sliding_window": 4096}, None),
        ("Gemma", {}, None),
        ("Granite", {"logits_scaling": 8.0}, "its logits differ"),
        ("Granite", {"embedding_multiplier": 12.0}, None),
        ("Cohere", {}, "its logits differ"),
        ("Gemma2", {}, "its logits are capped"),
        ("Gemma3Text", {}, "its logits differ"),
    ],
)
def test_a_model_is_read_exactly_or_refused(tmp_path, build, more, reason, dtype):
    own, _ = save_model(tmp_path / "lm", build, **more)
    if reason:
        with pytest.raises(InputError, match=f"cannot read exactly: {reason}"):
            TitleModel(str(tmp_path / "lm"), None, 2, dtype)
        return
    model = TitleModel(str(tmp_path / "lm"), None, 2, dtype).eval()
    used_tokens = list(range(80, 120))
    model.restrict_vocabulary(used_tokens)
    tokens = torch.arange(10)[None]
    with torch.no_grad():
        expected = own(tokens + 80).logits[0][:, used_tokens]
        logits = model.head(model(input_ids=tokens).last_hidden_state)[0]
    near = 1e-4 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(logits, expected, rtol=near, atol=near * float(expected.std()))


def test_a_model_whose_layers_cannot_be_called_as_trees_need_it_is_refused(tmp_path, monkeypatch):
    from transformers import LlamaModel

    save_model(tmp_path / "lm", "Llama")
    forward = LlamaModel.forward

    def no_positions(self, position_ids=None, **given):
        if position_ids is not None:
            raise TypeError("no position_ids here\nof any kind")
        return forward(self, **given)

    monkeypatch.setattr(LlamaModel, "forward", no_positions)
    with pytest.raises(InputError, match=r"exactly: no position_ids here \(a model with"):
        TitleModel(str(tmp_path / "lm"), None, 2, torch.float32)


def test_positions_or_branches_that_a_model_ignores_are_noticed(tmp_path, monkeypatch):
    from llm4rec_recbole.decoding.tree_decoder import CausalTreeDecoder

    save_model(tmp_path / "lm", "Llama")
    grow = CausalTreeDecoder.grow
    for ignored in ("depth", "sees"):

        def without(self, memory, tokens, depth, sees, store, ignored=ignored):
            if ignored == "depth":
                depth = torch.arange(1, tokens.shape[1] + 1)
            else:
                sees = torch.ones_like(sees).tril()
            return grow(self, memory, tokens, depth, sees, store)

        monkeypatch.setattr(CausalTreeDecoder, "grow", without)
        with pytest.raises(InputError, match="its logits differ"):
            TitleModel(str(tmp_path / "lm"), None, 2, torch.float32)


def test_the_check_of_the_logits_changes_no_weights_modes_or_random_numbers(tmp_path, monkeypatch):
    save_model(tmp_path / "lm", "Llama")
    states = []
    for checked in (True, False):
        if not checked:
            monkeypatch.setattr(TitleModel, "_check_logits", lambda *given: None)
        torch.manual_seed(5)
        model = TitleModel(str(tmp_path / "lm"), 1, 2, torch.float32)
        drawn = torch.rand(3)
        assert model.training
        assert model.body.config._attn_implementation == "eager"
        assert model.head.out_features == len(model.head.weight)
        needs = {name: value.requires_grad for name, value in model.named_parameters()}
        states.append((model.state_dict() | {"drawn": drawn}, needs))
    torch.testing.assert_close(states[0][0], states[1][0], rtol=0, atol=0)
    assert states[0][1] == states[1][1]


def test_a_window_that_slides_bounds_the_prompt(options, tmp_path):
    save_model(tmp_path / "lm", "Mistral", sliding_window=100)
    model = genrec(options, llm=str(tmp_path / "lm"), max_prompt_tokens=512).model
    assert model.budget == 100 - model.trie.max_depth


def test_lora_leaves_the_language_model_as_it_is(options):
    model = genrec(options, lora_rank=2).model
    trains = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trains == {name for name in dict(model.named_parameters()) if "lora_" in name} | {
        "llm.head.weight"
    }


@pytest.mark.parametrize("rank", [0, 2])
def test_bfloat16_trains_float32_weights(options, rank):
    model = genrec(options, lora_rank=rank, llm_dtype="bfloat16").model
    batch = {model.ITEM_SEQ: torch.tensor([[3, 9]]), model.ITEM_ID: torch.tensor([[9, 4]])}
    model.calculate_loss(batch).backward()
    trained = [value for value in model.parameters() if value.requires_grad]
    assert all(value.dtype == torch.float32 for value in trained)
    assert all(value.grad is not None and value.grad.isfinite().all() for value in trained)


class NoTokens:
    eos_token_id = unk_token_id = None

    def encode(self, text, add_special_tokens):
        return []


def test_a_tokenizer_that_cannot_end_a_title_is_refused():
    with pytest.raises(InputError, match="'odd' has neither a new line nor an end of text"):
        end_of_title(NoTokens(), "odd")
    odd = NoTokens()
    odd.eos_token_id = 7
    assert end_of_title(odd, "odd") == 7


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"softmax_over": "all"}, "softmax_over is all"),
        ({"decoding": "unconstrained"}, "needs a model trained to write whole titles"),
        ({"llm_dtype": "int8"}, "llm_dtype is int8"),
        ({"beam_width": 0, "decoding": "beam"}, "beam_width is 0"),
        ({"max_title_tokens": 0}, "max_title_tokens is 0"),
        ({"max_prompt_tokens": None}, "max_prompt_tokens is ~"),
        ({"lora_rank": -1}, "lora_rank is -1"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, option, message):
    with pytest.raises(InputError, match=message):
        genrec(options, **option)


@pytest.mark.slow
def test_bfloat16_scores_are_near_those_in_float32():
    scores = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        model = TitleModel("scratch-64x2", None, 0, dtype).eval()
        with torch.no_grad():
            scores.append(model.head(model(input_ids=torch.arange(50)[None]).last_hidden_state))
    torch.testing.assert_close(scores[0], scores[1], rtol=0.05, atol=0.05)
