"""EnhancedGenRec beyond the contract of all methods: its components, and what they may see."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole import option_readers, registry
from llm4rec_recbole.config import check_request
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.enhanced_genrec import mixins
from llm4rec_recbole.models.enhanced_genrec.build import (
    COMPONENTS,
    VARIANTS,
    NoAspects,
    NoContent,
    NoDebiasing,
    NoRelations,
    NoRetrieval,
    NoSasrec,
    chosen_components,
)
from llm4rec_recbole.registry import ENHANCED_GENREC, variant
from llm4rec_recbole.training.experiment import prepare, train
from llm4rec_recbole.training.run import run
from tests.helpers.trained_models import scores_of


def test_every_component_takes_part_alone_and_together(described: dict[str, Any]) -> None:
    stand_ins = {
        "content": NoContent,
        "relations": NoRelations,
        "retrieved": NoRetrieval,
        "debiasing": NoDebiasing,
        "aspects": NoAspects,
        "adaptation": type(None),
        "sasrec": NoSasrec,
    }
    of_component = {
        "fusion": {"content"},
        "retrieval": {"relations", "retrieved"},
        "debiasing": {"debiasing"},
        "explanation": {"aspects"},
        "adaptation": {"adaptation"},
        "sasrec": {"sasrec"},
    }

    def parts_of(name: str, **options: Any) -> set[str]:
        model = prepare(name, "two_cycles", options=described | options).model
        return {part for part, none in stand_ins.items() if type(getattr(model, part)) is not none}

    assert parts_of("EnhancedGenRec") == set(stand_ins)
    for name, component in zip(ENHANCED_GENREC[1:], COMPONENTS):
        assert parts_of(name) == of_component[component]
    assert parts_of("EnhancedGenRec", components=["sasrec"]) == {"sasrec"}
    assert not parts_of("EnhancedGenRec", components=[])


@pytest.mark.parametrize("name", ENHANCED_GENREC)
def test_a_variant_reads_the_options_of_the_model(name: str) -> None:
    assert option_readers.model_type(name) == "SEQUENTIAL"
    check_request(name, "ml-100k", options={"MAX_ITEM_LIST_LENGTH": 10, "hidden_size": 16})


def test_the_variants_are_the_names_that_the_registry_lists() -> None:
    assert ("EnhancedGenRec", *VARIANTS) == ENHANCED_GENREC
    for name, components in VARIANTS.items():
        assert registry.load(registry.MODELS, name).default_components == components


@pytest.mark.parametrize(
    ("components", "message"),
    [
        (["fusion"], "scratch-32x1, hash-16"),
        (["retrieval"], "scratch-32x1, hash-16"),
        (["debiasing", "explanation", "adaptation"], "scratch-32x1"),
    ],
)
def test_the_record_will_name_the_models_that_take_part(
    described: dict[str, Any], components: list[str], message: str
) -> None:
    options = described | {"components": components}
    assert prepare("EnhancedGenRec", "two_cycles", options=options).model.pretrained == message


def test_a_name_selects_a_subset_and_names_the_record(described: dict[str, Any]) -> None:
    model, given = variant("EnhancedGenRec_fusion_explanation")
    path = run(model, "two_cycles", options=described | given)
    record = json.loads(path.read_text())
    assert path.parent.name == record["method"] == "EnhancedGenRec_fusion_explanation"
    assert record["components"] == ["fusion", "explanation"]
    assert variant("EnhancedGenRec_none")[1]["components"] == []
    assert variant("BPR") == ("BPR", {})


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("max_relation_items", -1, "a whole number, 0 or more"),
        ("retrieved_entries", 1.5, "a whole number, 0 or more"),
        ("popularity_strata", 0, "a whole number, 1 or more"),
        ("relation_reg", 0, r"a number in \(0, inf\)"),
        ("relation_decay", 1.1, r"a number in \(0, 1\]"),
        ("hidden_dropout_prob", 1.0, r"a number in \[0, 1\)"),
        ("ips_clip_quantile", -0.1, r"a number in \[0, 1\]"),
        ("adaptation_update_fraction", True, r"a number in \(0, 1\]"),
        ("fairness_weight", float("nan"), r"a number in \[0, inf\)"),
        ("warmup", 3, r"a number in \[0, 1\]"),
        ("learning_rate", -1, r"a number in \[0, inf\)"),
        ("MAX_ITEM_LIST_LENGTH", 0, "a whole number, 1 or more"),
    ],
)
def test_an_option_out_of_its_range_is_named(
    small: dict[str, Any], option: str, value: Any, allowed: str
) -> None:
    with pytest.raises(InputError, match=rf"{option} is {value} \({allowed}\)"):
        prepare("EnhancedGenRec", "two_cycles", options=small | {option: value})


def test_an_unknown_component_is_refused() -> None:
    with pytest.raises(InputError, match="no component memory"):
        chosen_components(["fusion", "memory"], ())
    assert chosen_components(["retrieval", "fusion"], ()) == ("fusion", "retrieval")


def test_a_history_of_one_item_and_a_user_with_none_of_the_groups(
    described: dict[str, Any],
) -> None:
    trained = train("EnhancedGenRec", "two_cycles", options=described)
    held_out = HeldOut(
        users=np.array([1]),
        targets=np.array([2]),
        indptr=np.array([0, 1]),
        items=np.array([3]),
        times=np.array([1e9]),
        n_items=41,
    )
    assert np.isfinite(scores_of(trained, held_out)).all()


def test_the_aspects_loss_has_its_weight(described: dict[str, Any]) -> None:
    run_ = prepare(
        "EnhancedGenRec", "two_cycles", options=described | {"components": ["explanation"]}
    )
    model, batch = run_.model.eval(), next(iter(run_.data.train))
    losses = []
    for model.aspect_loss_weight in (0.0, 1.0, 3.0):
        losses.append(model.calculate_loss(batch).item())
    assert losses[1] > losses[0] + 0.1
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)


def test_the_ranking_asks_after_the_last_item_as_training_did(described: dict[str, Any]) -> None:
    """Histories of unequal length; `states` is what the loss is made of."""
    model = prepare("EnhancedGenRec", "two_cycles", options=described).model.eval()
    users, items = torch.tensor([1, 2]), torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    table, entries = model.item_table(), torch.tensor([[[1, 2, -1]] * 4, [[3, -1, -1]] * 4])
    for retrieved in (None, entries):
        every = model(users, items, table, retrieved)
        last = model(users, items, table, retrieved, last_only=True)
        torch.testing.assert_close(last, every[[0, 1], [3, 1]])


def test_aspects_and_relations_add_their_terms_to_the_scores(described: dict[str, Any]) -> None:
    model = prepare("EnhancedGenRec", "two_cycles", options=described).model.eval()
    users, items = torch.tensor([1, 2]), torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    model.weights = {"relations": 4.0, "aspects": 0.5}
    aspects = 0.5 * model.aspects(model(users, items, model.item_table(), last_only=True))[1]
    relations = 4.0 * model.relations(items)
    whole, model.weights["relations"] = model.score(users, items), 0.0
    without_relations, model.weights["aspects"] = model.score(users, items), 0.0
    torch.testing.assert_close(whole - without_relations, relations)
    torch.testing.assert_close(without_relations - model.score(users, items), aspects)


def test_scores_depend_on_no_other_row(described: dict[str, Any]) -> None:
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    model, whole = run_.model.eval(), run_.data.valid.held_out
    twice = np.repeat(np.arange(len(whole)), 2)  # more rows than are read at once, …
    lengths = np.arange(len(twice)) % 9 + 1  # … of unequal histories
    seen = np.concatenate(
        [np.arange(whole.indptr[row], whole.indptr[row] + n) for row, n in zip(twice, lengths)]
    )
    uneven = HeldOut(
        users=whole.users[twice],
        targets=whole.targets[twice],
        indptr=np.concatenate([[0], np.cumsum(lengths)]),
        items=whole.items[seen],
        times=whole.times[seen],
        n_items=whole.n_items,
    )
    together = model.score_histories(uneven, np.arange(len(uneven)))
    assert len(uneven) > mixins.EVAL_CHUNK
    for row in (0, 17, 118):
        alone = model.score_histories(uneven, np.array([row]))
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-5)
