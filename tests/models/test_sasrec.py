"""SASRec's pre-norm network, its losses and its schedule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.item_texts import NoTexts
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.option_readers import read_options
from llm4rec_recbole.training.experiment import prepare
from llm4rec_recbole.training.losses import SampledLoss
from llm4rec_recbole.training.run import load_config, run

FAST = {"norm": "pre", "loss": "sampled", "num_negatives": 16, "batch_targets": 256, "warmup": 0.1}


def test_the_pre_norm_network_sees_no_later_item_and_no_padding(options: Any) -> None:
    model = prepare("SASRec", "two_cycles", options=options | {"norm": "pre"}).model.eval()
    items = torch.tensor([[3, 4, 5, 6], [3, 4, 5, 0]])
    changed = torch.tensor([[3, 4, 5, 9], [3, 4, 5, 8]])
    table = model.item_table()
    same = model.states(items, table)[:, :3], model.states(changed, table)[:, :3]
    torch.testing.assert_close(*same)
    last = model(items, torch.tensor([4, 3]))
    torch.testing.assert_close(last[1], model.states(items, table)[1, 2])
    torch.testing.assert_close(last[1], model(items[1:, :3], torch.tensor([3]))[0])


def test_the_pre_norm_network_is_the_formula(options: Any) -> None:
    given = options | {"norm": "pre", "n_layers": 1}
    model = prepare("SASRec", "two_cycles", options=given).model.eval()
    layer = model.trm_encoder.layers[0]
    items = torch.tensor([[3, 4, 5]])
    x = model.item_embedding(items) + model.position_embedding.weight[:3]
    q, k, v = layer.projections(layer.attention_norm(x)).chunk(3, -1)
    width = x.shape[-1] // model.n_heads
    heads = []
    for h in range(model.n_heads):
        part = slice(h * width, (h + 1) * width)
        logits = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5
        logits = logits.masked_fill(~torch.ones(3, 3, dtype=torch.bool).tril(), -torch.inf)
        heads.append(logits.softmax(-1) @ v[..., part])
    x = x + layer.output(torch.cat(heads, -1))
    x = x + layer.narrow(torch.nn.functional.gelu(layer.wide(layer.feed_forward_norm(x))))
    torch.testing.assert_close(model.states(items, model.item_table()), model.LayerNorm(x))


TEXTS = {"norm": "pre", "text_encoder": "hash-16", "item_text_std": 0.1}


def test_texts_are_part_of_the_vectors_that_are_read_and_ranked(
    options: Any, described: dict[str, Any]
) -> None:
    given = options | TEXTS | {"data_path": described["data_path"]}
    made = prepare("SASRec", "two_cycles", options=given)
    model = made.model.eval()
    model.calculate_loss(next(iter(made.data.train))).backward()
    assert model.texts.map.weight.grad.any()
    own, texts = model.item_embedding.weight, model.texts
    table = own + texts.vectors @ texts.map.weight.T
    torch.testing.assert_close(model.item_table(), table)
    items = {"item_id_list": torch.tensor([[3, 4, 5]]), "item_length": torch.tensor([3])}
    scores = model.full_sort_predict(items)
    torch.testing.assert_close(model.predict(items | {"item_id": torch.tensor([6])}), scores[:, 6])
    held_out, rows = made.data.test.held_out, np.arange(4)
    ranked = scorer(model, made.config, held_out, None)(rows)
    with torch.no_grad():  # the same vectors without a map
        model.texts, model.item_embedding.weight[:] = NoTexts(), table
    torch.testing.assert_close(model.full_sort_predict(items), scores)
    without_map = scorer(model, made.config, held_out, None)(rows)
    np.testing.assert_allclose(np.asarray(ranked), np.asarray(without_map), atol=1e-5)


def test_texts_need_a_text(options: Any) -> None:
    with pytest.raises(InputError, match="item_text_std: no item has a text"):
        prepare("SASRec", "two_cycles", options=options | TEXTS)


def test_the_fast_recipe_learns_and_its_record_has_the_share_of_padding(options: Any) -> None:
    given = options | FAST | {"item_init": "spectral", "learning_rate": 0.01}
    record = json.loads(run("SASRec", "two_cycles", options=given).read_text())
    assert record["metrics"]["test"]["full"]["ndcg@10"] > 0.8
    assert 0 <= record["cost"]["padding_share"] < 0.1


@pytest.mark.parametrize("loss", ["sampled", "gbce", "sce"])
@pytest.mark.parametrize("protocol", ["loo", "recbole"])
@pytest.mark.parametrize("model", ["SASRec", "BERT4Rec"])
def test_every_loss_trains_under_both_protocols(
    model: str, protocol: str, loss: str, options: Any
) -> None:
    given = options | {"loss": loss, "num_negatives": 8, "protocol": protocol}
    made = prepare(model, "two_cycles", options=given)
    assert isinstance(made.model.loss, SampledLoss)
    batch = next(iter(made.data.train))
    value = made.model.calculate_loss(batch)
    value.backward()
    assert torch.isfinite(value)
    assert made.model.item_embedding.weight.grad.any()


@pytest.mark.parametrize(("model", "chosen"), [("SASRec", FAST), ("BERT4Rec", {"warmup": 0.05})])
def test_the_rate_falls_to_zero_by_the_last_step(
    model: str, chosen: dict[str, Any], options: Any
) -> None:
    given = options | chosen | {"epochs": 3, "eval_step": 0}
    del given["stopping_step"]  # nothing is validated
    made = prepare(model, "two_cycles", options=given)
    made.trainer.fit(made.data.train, None, verbose=False, saved=False, show_progress=False)
    steps, planned = int(made.model.steps), 3 * len(made.data.train)
    assert abs(steps - planned) <= 0.05 * planned + 3
    assert made.trainer.optimizer.param_groups[0]["lr"] < 0.02 * made.trainer.learning_rate


@pytest.mark.parametrize("model", ["SASRec", "BERT4Rec"])
def test_without_warmup_the_rate_is_constant_and_nothing_is_counted(
    model: str, options: Any
) -> None:
    given = options | {"epochs": 1, "eval_step": 0, "warmup": None}
    del given["stopping_step"]
    made = prepare(model, "two_cycles", options=given)
    assert "steps" not in made.model.state_dict()
    made.trainer.fit(made.data.train, None, verbose=False, saved=False, show_progress=False)
    assert made.trainer.optimizer.param_groups[0]["lr"] == made.trainer.learning_rate


def test_batches_by_targets_need_windows() -> None:
    """RecBole's own protocol trains on RecBole's rows, except for EnhancedGenRec."""
    assert "batch_targets" in read_options("SASRec", "loo")
    assert "batch_targets" not in read_options("SASRec", "recbole")
    assert "batch_targets" not in read_options("BERT4Rec", "recbole")
    assert "batch_targets" in read_options("EnhancedGenRec", "recbole")


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"num_negatives": 9}, "num_negatives is not read with loss: auto"),
        ({"loss": "gbce", "sce_scale": 5.0}, "sce_scale is not read with loss: gbce"),
        (
            {"item_init": "random", "item_init_std": 0.2},
            "item_init_std is not read with item_init: random",
        ),
        ({"norm": "post", "item_text_std": 0.1}, "item_text_std is not read with norm: post"),
    ],
)
def test_an_option_that_the_choice_of_another_leaves_unread_is_refused(options, given, refusal):
    with pytest.raises(InputError, match=refusal):
        load_config("SASRec", "two_cycles", options=options | given)
    load_config("SASRec", "two_cycles", options=options | {"loss": "sce", "sce_scale": 5.0})
