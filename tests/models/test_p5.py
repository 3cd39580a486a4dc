"""P5 against transformers' own T5, prompt by prompt and answer by answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm4rec_recbole.decoding.scores import NOT_FOUND
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.p5_prompts import FAMILIES, Words, fill, parse
from llm4rec_recbole.training.train import prepare

SMALL = {"id_clusters": 3, "id_items": 6, "id_tokens": 50}


@pytest.fixture
def p5(options):
    """P5 on `rings`, untrained, with codes of several tokens."""
    run = prepare("P5", "rings", options=options | SMALL)
    run.model.eval()
    return run


@torch.no_grad()
def log_probability(t5, prompt, answer):
    """By transformers: its T5 on one prompt, shifting the answer itself."""
    logits = t5(input_ids=torch.tensor([prompt]), labels=torch.tensor([answer])).logits[0]
    return logits.log_softmax(1)[torch.arange(len(answer)), answer]  # (A,)


def test_a_score_is_the_log_probability_of_the_code_after_the_prompt(p5):
    model, held_out = p5.model, p5.test_data.held_out
    scores = model.score_histories(held_out, np.array([3, 5]))
    items, _ = held_out.last(np.array([3]), model.max_seq_length)
    code = {item: model.codes[item] for item in (1, 20, 40)}
    template = parse(FAMILIES["sequential"].seen[0], model.words)
    history = [token for item in items[0] for token in model.codes[item]]
    prompt = fill(template, user=[model.first_user + held_out.users[3]], history=history)
    expected = [log_probability(model.t5, prompt, tokens).sum() for tokens in code.values()]
    np.testing.assert_allclose(scores[0, list(code)], expected, rtol=1e-4)


def test_the_loss_weighs_the_jth_next_item_by_one_over_j(p5):
    model = p5.model
    prompts = [[3, 4, 5], [6, 7]]
    answers = [[model.codes[1], model.codes[2]], [model.codes[3]]]
    total = weights = 0.0
    for prompt, row in zip(prompts, answers):
        for j, answer in enumerate(row, start=1):
            steps = log_probability(model.t5, prompt, answer)
            total, weights = total - float(steps.sum()) / j, weights + len(steps) / j
    loss = model._answer_loss(prompts, answers).item()
    assert loss == pytest.approx(total / weights, rel=1e-4)


def test_beams_score_the_best_unseen_items_and_no_others(p5):
    model, held_out = p5.model, p5.test_data.held_out
    rows = np.arange(4)
    every = model.score_histories(held_out, rows)
    model.decoding, model.beam_width = "beam", 40
    found = model.score_histories(held_out, rows)
    unseen = ~held_out.seen_mask(rows)
    np.testing.assert_allclose(found[unseen], every[unseen], rtol=1e-4)
    assert (found[~unseen][found[~unseen] != 0] == NOT_FOUND).all()


def test_direct_prompts_do_not_read_the_history(p5):
    model, held_out = p5.model, p5.test_data.held_out
    shorter = p5.valid_data.held_out
    assert (held_out.users[:3] == shorter.users[:3]).all()
    rows = np.arange(3)
    assert (model.score_histories(held_out, rows) != model.score_histories(shorter, rows)).any()
    model.evaluated = ("direct", 0)
    one, other = (model.score_histories(each, rows) for each in (held_out, shorter))
    np.testing.assert_array_equal(one, other)


def test_an_unseen_template_is_another_prompt(options):
    seen, unseen = (
        prepare("P5", "rings", options=options | {"evaluation_prompt": which}).model
        for which in ("seen", "unseen")
    )
    prompts = [model._prompts(*model.evaluated, [1], [[9]]) for model in (seen, unseen)]
    assert prompts[0] != prompts[1]
    assert seen.evaluated[1] < len(FAMILIES["sequential"].seen) == unseen.evaluated[1]


def test_ratings_are_learnt_and_written_in_words(p5):
    assert set(p5.model.families) == {"sequential", "direct", "rating"}  # rings has no reviews
    answers = p5.model.write("rating", [1, 2], [3, 4], most=2)
    assert len(answers) == 2


def test_reviews_train_the_explanation_family(options, rings, tmp_path):
    folder = tmp_path / "reviewed" / "rings"
    folder.mkdir(parents=True)
    head, *rows = (rings / "rings" / "rings.inter").read_text().splitlines()
    rows = [f"{row}\tgood fun number {row.split()[1]}" for row in rows]
    (folder / "rings.inter").write_text("\n".join([f"{head}\treview:token_seq", *rows]) + "\n")
    chosen = {"data_path": str(folder.parent), "families": {"explanation": 1.0}}
    columns = ["user_id", "item_id", "rating", "timestamp", "review"]
    run = prepare("P5", "rings", options=options | chosen | {"load_col": {"inter": columns}})
    optimizer = torch.optim.AdamW(run.model.parameters(), 0.01)
    for _ in range(40):
        for batch in run.train_data:
            optimizer.zero_grad()
            run.model.calculate_loss(batch).backward()
            optimizer.step()
    run.model.eval()
    assert all(
        text.startswith("good fun number i") for text in run.model.write("explanation", [1], [2])
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"families": {"poetry": 1.0}}, "no family 'poetry'"),
        ({"evaluation_family": "rating"}, "'rating' ranks no items"),
        ({"evaluation_prompt": "new"}, "evaluation_prompt is 'new'"),
        ({"decoding": "greedy"}, "no decoding 'greedy'"),
        ({"hidden_size": 15}, "not a multiple of n_heads"),
        ({"t5": "no/such/t5"}, "no T5 'no/such/t5'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, option, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message):
        prepare("P5", "rings", options=options | option)


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
    run = prepare("P5", "rings", options=options | {"t5": str(tmp_path / "t5")})
    assert run.model.pretrained == str(tmp_path / "t5")
    assert np.isfinite(run.model.score_histories(run.test_data.held_out, np.arange(2))).all()


def test_a_tokenizer_that_cannot_end_a_text_is_refused(options, tmp_path):
    save_t5(tmp_path / "t5", pad_token="<pad>")
    with pytest.raises(InputError, match="has no eos token"):
        prepare("P5", "rings", options=options | {"t5": str(tmp_path / "t5")})
