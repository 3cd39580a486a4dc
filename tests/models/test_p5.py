"""P5 against transformers' own T5, prompt by prompt and answer by answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from llm4rec_recbole.decoding.beam import NOT_FOUND
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.p5.prompts import FAMILIES, Words, fill, parse
from llm4rec_recbole.training.experiment import prepare

SMALL = {"id_clusters": 3, "max_cluster_items": 6, "id_tokens": 50}


@pytest.fixture
def p5(options):
    """P5 on `two_cycles`, untrained, with codes of several tokens."""
    run = prepare("P5", "two_cycles", options=options | SMALL)
    run.model.eval()
    return run


@torch.no_grad()
def log_probability(model, prompt, answer):
    """By transformers: its T5 on one prompt, shifting the answer itself. No answer names a user."""
    logits = model.t5(input_ids=torch.tensor([prompt]), labels=torch.tensor([answer])).logits[0]
    logits = logits[:, : model.first_user]
    return logits.log_softmax(1)[torch.arange(len(answer)), answer]  # (A,)


def test_a_score_is_the_log_probability_of_the_code_after_the_prompt(p5):
    model, held_out = p5.model, p5.data.test.held_out
    scores = model.score_histories(held_out, np.array([3, 5]))
    items, _ = held_out.last(np.array([3]), model.max_seq_length)
    code = {item: model.codes[item] for item in (1, 20, 40)}
    template = parse(FAMILIES["sequential"][0], model.words)
    history = [token for item in items[0] for token in model.codes[item]]
    prompt = fill(template, user=[model.first_user + held_out.users[3]], history=history)
    expected = [log_probability(model, prompt, tokens).sum() for tokens in code.values()]
    np.testing.assert_allclose(scores[0, list(code)], expected, rtol=1e-4)


def test_the_loss_weighs_the_jth_next_item_by_one_over_j(p5):
    model = p5.model
    prompts = [[3, 4, 5], [6, 7]]
    answers = [[model.codes[1], model.codes[2]], [model.codes[3]]]
    total = weights = 0.0
    for prompt, row in zip(prompts, answers):
        for j, answer in enumerate(row, start=1):
            steps = log_probability(model, prompt, answer)
            total, weights = total - float(steps.sum()) / j, weights + len(steps) / j
    loss = model._answer_loss(prompts, answers).item()
    assert loss == pytest.approx(total / weights, rel=1e-4)


def test_beams_score_the_best_unseen_items_and_no_others(p5):
    model, held_out = p5.model, p5.data.test.held_out
    rows = np.arange(4)
    every = model.score_histories(held_out, rows)
    model.decoding, model.beam_width = "beam", 40
    scores = model.score_histories(held_out, rows)
    unseen = ~held_out.seen_mask(rows)
    np.testing.assert_allclose(scores[unseen], every[unseen], rtol=1e-4)
    assert (scores[~unseen][scores[~unseen] != 0] == NOT_FOUND).all()


def test_direct_prompts_do_not_read_the_history(p5):
    model, held_out = p5.model, p5.data.test.held_out
    shorter = p5.data.valid.held_out
    assert (held_out.users[:3] == shorter.users[:3]).all()
    rows = np.arange(3)
    assert (model.score_histories(held_out, rows) != model.score_histories(shorter, rows)).any()
    model.evaluated = ("direct", 0)
    one, other = (model.score_histories(histories, rows) for histories in (held_out, shorter))
    np.testing.assert_array_equal(one, other)


def test_an_unseen_template_is_another_prompt(options):
    seen, unseen = (
        prepare("P5", "two_cycles", options=options | {"evaluation_prompt": which}).model
        for which in ("seen", "unseen")
    )
    prompts = [model._prompts(*model.evaluated, [1], [[9]]) for model in (seen, unseen)]
    assert prompts[0] != prompts[1]
    assert (seen.evaluated[1], unseen.evaluated[1]) == (0, 3)


def learn(run, epochs):
    optimizer = torch.optim.AdamW(run.model.parameters(), 0.01)
    for _ in range(epochs):
        for batch in run.data.train:
            optimizer.zero_grad()
            run.model.calculate_loss(batch).backward()
            optimizer.step()
    run.model.eval()
    return run.model


def test_free_beams_spend_themselves_on_words_and_seen_items_too(options):
    """Each item is one token: the best tokens that are unseen items get their score."""
    chosen = {"item_indexing": "sequential", "decoding": "unconstrained", "beam_width": 60}
    run = prepare("P5", "two_cycles", options=options | chosen)
    model, held_out, rows = run.model.eval(), run.data.test.held_out, np.arange(6)
    seen, (items, _) = held_out.seen_mask(rows), held_out.last(rows, model.max_seq_length)
    scores = model.score_histories(held_out, rows)
    histories = model._histories(torch.from_numpy(items))
    in_vain = 0
    for row, prompt in enumerate(
        model._prompts(*model.evaluated, held_out.users[rows].tolist(), histories)
    ):
        with torch.no_grad():
            out = model.t5(input_ids=torch.tensor([prompt]), labels=torch.tensor([[0]]))
        logits = out.logits[0, 0, : model.first_user]
        best = logits.topk(60).indices.tolist()
        is_best = np.array([code[0] in best for code in model.codes[1:]])
        expected = logits.log_softmax(0)[[code[0] for code in model.codes[1:]]].numpy()
        found_items = is_best & ~seen[row, 1:]
        in_vain += (is_best & seen[row, 1:]).sum()
        assert 0 < found_items.sum() < 60
        np.testing.assert_allclose(scores[row, 1:][found_items], expected[found_items], rtol=1e-4)
        assert (scores[row, 1:][~found_items] == NOT_FOUND).all()
    assert in_vain


def trained_with(model, batches, n):
    """Which (family, template) each of `n` batches trains."""
    trained = []
    original = model._prompts

    def prompts(family, template, *given):
        trained.append((family, template))
        return original(family, template, *given)

    model._prompts = prompts
    model._answer_loss = lambda prompts, answers: torch.zeros(())
    for number in range(n):
        model.calculate_loss(batches[number % len(batches)])
    return trained


def test_every_family_trains_its_share_with_each_seen_template_and_no_unseen_one(p5):
    n = 600
    trained = trained_with(p5.model, list(p5.data.train), n)
    families = {"sequential": 1.0, "direct": 0.2, "rating": 0.2}
    assert set(trained) == {(family, template) for family in families for template in range(3)}
    for family, share in families.items():
        assert len(FAMILIES[family]) == 4
        for template in range(3):
            assert trained.count((family, template)) == pytest.approx(n * share / 3, rel=0.4)


def test_a_data_set_without_reviews_trains_the_other_families(p5):
    assert set(p5.model.families) == {"sequential", "direct", "rating"}


def reviewed(options, two_cycles, tmp_path, table):
    """P5 on two_cycles, each interaction with a review in reviews.parquet or in the .inter file."""
    folder = tmp_path / "reviewed" / "two_cycles"
    folder.mkdir(parents=True)
    head, *rows = (two_cycles / "two_cycles" / "two_cycles.inter").read_text().splitlines()
    columns = ["user_id", "item_id", "rating", "timestamp"]
    cells = [row.split("\t") for row in rows]
    for cell in cells:  # u, i, rating, time: an item always has the same stars
        cell[2] = str(1 + int(cell[1][1:]) % 5)
    rows = ["\t".join(cell) for cell in cells]
    if table:
        texts = [None if item == "i0" else f"good fun number {item}" for _, item, *_ in cells]
        texts[60 * 12 :] = ["secret"] * (60 * 2)  # each user's last two are held out
        summaries = ["never had" if text is None else "not read" for text in texts]
        ids = {"user_id": [c[0] for c in cells], "item_id": [c[1] for c in cells]}
        times = [float(c[3]) for c in cells]
        written = ids | {"timestamp": times, "summary": summaries, "text": texts}
        pd.DataFrame(written).to_parquet(folder / "reviews.parquet")
    else:
        head += "\treview:token_seq"
        rows = [f"{row}\tgood fun number {row.split()[1]}" for row in rows]
        columns.append("review")
    (folder / "two_cycles.inter").write_text("\n".join([head, *rows]) + "\n")
    chosen = {"data_path": str(folder.parent), "task_weights": {"explanation": 1.0}}
    return prepare("P5", "two_cycles", options=options | chosen | {"load_col": {"inter": columns}})


@pytest.mark.parametrize("table", [False, True])
def test_text_answers_are_about_the_item_of_the_prompt(options, two_cycles, tmp_path, table):
    run = reviewed(options, two_cycles, tmp_path, table)
    texts, names = run.model.texts, run.data.train.dataset.field2id_token["item_id"]
    for batch in run.data.train:
        for row, item in zip(batch["row"].flatten().tolist(), batch["item_id"].flatten().tolist()):
            if not item:
                continue
            silent = table and names[item] == "i0"
            review = "never had" if silent else f"good fun number {names[item]}"
            assert texts.of("explanation", row) == review
            assert texts.of("rating", row) == str(1 + int(names[item][1:]) % 5)


@torch.no_grad()
def loss_of_review(model, text):
    """Of user 1's review of item 2, by the first template."""
    prompts = model._prompts("explanation", 0, [1], [model.codes[2]])
    return model._answer_loss(prompts, [[[*model.words.encode(text), model.words.end]]]).item()


def test_reviews_are_learnt(options, two_cycles, tmp_path):
    run = reviewed(options, two_cycles, tmp_path, table=False)
    model = learn(run, 60)
    name = run.data.dataset.field2id_token["item_id"][2]
    right = loss_of_review(model, f"good fun number {name}")
    assert right < 0.3 * loss_of_review(model, f"number {name} good fun")
    assert right < 1


def test_explanations_train_with_each_seen_template(options, two_cycles, tmp_path):
    run = reviewed(options, two_cycles, tmp_path, table=False)
    trained = trained_with(run.model, list(run.data.train), 100)
    assert set(trained) == {("explanation", template) for template in range(3)}
    assert len(trained) == 100


def test_an_interaction_without_a_review_trains_no_explanation(options, two_cycles, tmp_path):
    run = reviewed(options, two_cycles, tmp_path, table=True)
    model = run.model
    model.texts.reviews = ["said" if row % 3 else "" for row in range(60 * 12)]
    answered = []

    def answer_loss(prompts, answers):
        answered.extend(zip(prompts, answers))
        return torch.zeros((), requires_grad=True)

    model._answer_loss = answer_loss
    for batch in run.data.train:
        model.calculate_loss(batch)
    assert answered
    assert all(answer == [[*model.words.encode("said"), model.words.end]] for _, answer in answered)


def test_reviews_of_held_out_items_are_not_read(options, two_cycles, tmp_path):
    texts = reviewed(options, two_cycles, tmp_path, table=True).model.texts
    assert len(texts.reviews) == 60 * 12
    assert not any("secret" in text for text in texts.all())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"task_weights": {"poetry": 1.0}}, "no family 'poetry'"),
        ({"evaluation_family": "rating"}, "evaluation_family is rating"),
        ({"evaluation_prompt": "new"}, "evaluation_prompt is new"),
        ({"decoding": "greedy"}, "decoding is greedy"),
        ({"hidden_size": 15}, "not a multiple of n_heads"),
        ({"n_heads": 0}, "n_heads is 0"),
        ({"n_layers": -1}, "n_layers is -1"),
        ({"beam_width": -3, "decoding": "beam"}, "beam_width is -3"),
        ({"beam_width": 2.5, "decoding": "beam"}, "beam_width is 2.5"),
        ({"targets_per_prompt": 0}, "targets_per_prompt is 0"),
        ({"targets_per_prompt": "many"}, "targets_per_prompt is many"),
        ({"t5": "no/such/t5"}, "no T5 'no/such/t5'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, option, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message):
        prepare("P5", "two_cycles", options=options | option)


def save_t5(folder, **special):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = Words()
    tokenizer = Tokenizer(models.WordLevel(words.number, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    sizes = {"d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 16, "num_layers": 1}
    config = T5Config(vocab_size=len(words), decoder_start_token_id=0, **sizes)
    T5ForConditionalGeneration(config).save_pretrained(folder)


def test_a_pretrained_t5_keeps_its_words_and_gains_ids(options, tmp_path):
    save_t5(tmp_path / "t5", pad_token="<pad>", eos_token="</s>")
    run = prepare("P5", "two_cycles", options=options | {"t5": str(tmp_path / "t5")})
    assert run.model.pretrained == str(tmp_path / "t5")
    assert np.isfinite(run.model.score_histories(run.data.test.held_out, np.arange(2))).all()


def test_a_tokenizer_that_cannot_end_a_text_is_refused(options, tmp_path):
    save_t5(tmp_path / "t5", pad_token="<pad>")
    with pytest.raises(InputError, match="has no eos token"):
        prepare("P5", "two_cycles", options=options | {"t5": str(tmp_path / "t5")})


def test_a_tokenizer_that_cannot_pad_is_refused(options, tmp_path):
    save_t5(tmp_path / "t5", eos_token="</s>")
    with pytest.raises(InputError, match="has no pad token"):
        prepare("P5", "two_cycles", options=options | {"t5": str(tmp_path / "t5")})


def test_only_the_last_items_of_a_long_history_are_read(options, monkeypatch):
    run = prepare("P5", "two_cycles", options=options | SMALL | {"MAX_ITEM_LIST_LENGTH": 3})
    model, held_out = run.model, run.data.test.held_out
    prompts = []
    monkeypatch.setattr(model, "_prompts", lambda *given: prompts.append(given) or [[9]])
    model.score_histories(held_out, np.array([0]))
    seen = held_out.items[held_out.indptr[0] : held_out.indptr[1]]
    assert len(seen) > 3
    assert prompts[0][-1] == [[token for item in seen[-3:] for token in model.codes[item]]]
