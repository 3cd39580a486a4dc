"""EnhancedGenRec beyond the contract of all methods: its components, and what they may see."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole import option_readers, registry
from llm4rec_recbole.components.absent import (
    NoAspects,
    NoContent,
    NoDebiasing,
    NoRelations,
    NoRetrieval,
)
from llm4rec_recbole.components.adaptation.adapter import next_item_events
from llm4rec_recbole.components.adaptation.interleave import prequential_rows
from llm4rec_recbole.components.debiasing.debiased_loss import log_likelihood
from llm4rec_recbole.components.item_relations import item_item_weights
from llm4rec_recbole.components.retrieval import context as retrieved_context
from llm4rec_recbole.components.training_features import training_features
from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.enhanced_genrec import ranking
from llm4rec_recbole.models.enhanced_genrec.build import COMPONENTS, VARIANTS, chosen_components
from llm4rec_recbole.option_refusals import check_request
from llm4rec_recbole.registry import ENHANCED_GENREC, variant
from llm4rec_recbole.training.run import prepare, run, train
from tests.helpers.two_cycles import one_history

SMALL = {
    "llm": "scratch-32x1",
    "llm_layers": 1,
    "llm_dtype": "float32",
    "text_encoder": "hash-16",
    "relation_reg": 10.0,
    "epochs": 1,
    "eval_step": 1,
    "retrieved_entries": 3,
}


@pytest.fixture
def small(options: dict[str, Any]) -> dict[str, Any]:
    return options | SMALL


@pytest.fixture
def described(two_cycles: Path, tmp_path: Path, small: dict[str, Any]) -> dict[str, Any]:
    """`two_cycles` with titles and categories for all items but two, and users' genders."""
    folder = tmp_path / "described" / "two_cycles"
    folder.mkdir(parents=True)
    (folder / "two_cycles.inter").write_text(
        (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    )
    rows = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for item in range(40):
        kind = "even" if item % 2 == 0 else "odd"
        rows.append(f"i{item}\tThe {kind} number {item}\t{1950 + item}\t{kind} whole")
    rows[5] = "i4\t\t\t"
    (folder / "two_cycles.item").write_text("\n".join(rows[:-1]) + "\n")
    users = [f"u{u}\t{20 + u}\t{'MF'[u % 2]}\tnone" for u in range(60)]
    head = "user_id:token\tage:token\tgender:token\toccupation:token"
    (folder / "two_cycles.user").write_text("\n".join([head, *users]) + "\n")
    return small | {"data_path": str(folder.parent)}


def scores_of(trained: Any, held_out: HeldOut) -> np.ndarray:
    trained.model.eval()
    return trained.model.score_histories(held_out, np.arange(len(held_out)))


def test_every_component_takes_part_alone_and_together(described: dict[str, Any]) -> None:
    stand_ins = {
        "content": NoContent,
        "relations": NoRelations,
        "retrieved": NoRetrieval,
        "debiasing": NoDebiasing,
        "aspects": NoAspects,
        "adaptation": type(None),
    }
    of_component = {
        "fusion": {"content"},
        "retrieval": {"relations", "retrieved"},
        "debiasing": {"debiasing"},
        "explanation": {"aspects"},
        "adaptation": {"adaptation"},
    }

    def parts_of(name: str, **options: Any) -> set[str]:
        model = prepare(name, "two_cycles", options=described | options).model
        return {part for part, none in stand_ins.items() if type(getattr(model, part)) is not none}

    assert parts_of("EnhancedGenRec") == set(stand_ins)
    for name, component in zip(ENHANCED_GENREC[1:], COMPONENTS):
        assert parts_of(name) == of_component[component]
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
        ("relation_reg", 0, r"a number in \(0, inf\), or ~"),
        ("relation_decay", 1.1, r"a number in \(0, 1\], or ~"),
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


def test_without_titles_categories_and_groups_it_runs_on_ids_and_relations(
    small: dict[str, Any],
) -> None:
    trained = train("EnhancedGenRec", "two_cycles", options=small)
    model = trained.model
    assert model.content.fusion.modalities == ("numbers",)  # counts of interactions, ratings
    assert not model.retrieved.uses_text  # it retrieves by co-occurrence alone
    assert isinstance(model.aspects, NoAspects)
    assert model.debiasing.adversary is None
    assert np.isfinite(scores_of(trained, trained.data.test.held_out)).all()


def test_relations_among_few_items_leave_the_others_ranking_alone(small: dict[str, Any]) -> None:
    """What they add is all that differs: with every item, the items that take part, or none."""
    given = {"relation_weight": 8.0, "relation_reg": 500.0, "relation_decay": 0.9}
    options = small | {"components": ["retrieval"]} | given
    some, none = (
        prepare("EnhancedGenRec", "two_cycles", options=options | {"max_relation_items": n})
        for n in (6, 0)
    )
    index = some.model.relations.matrix_index
    some.model.relations(torch.tensor([[1]]))  # the first use fits
    assert index.count_nonzero() == 6 < some.model.n_items - 1
    inter = some.data.train._dataset.inter_feat
    users, rows = inter["user_id"].numpy(), index[inter["item_id"]].numpy()
    expected = item_item_weights(users[rows > 0], rows[rows > 0], 7, some.config["relation_reg"])
    torch.testing.assert_close(some.model.relations.item_item_weights, expected)
    history = index.nonzero()[:3, 0][None]  # three items that have relations
    users = torch.tensor([1])
    for trained in (some, none):
        trained.model.eval()
    added = (some.model.score(users, history) - none.model.score(users, history))[0]
    assert not added[index == 0].any()
    assert added[index > 0].any()


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


def items_of(context: Any, entries: Any) -> Any:
    """The items of entries, -1 where there is none."""
    return np.where(entries >= 0, entries // context.tokens.size, -1)


def test_what_is_retrieved_was_not_seen_and_may_be_the_target(described: dict[str, Any]) -> None:
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    context, held_out = run_.model.retrieved, run_.data.valid.held_out
    rows = np.arange(len(held_out))
    items = items_of(context, context.now(held_out, rows).numpy())
    targets = 0
    for row, positions in zip(rows, items):
        seen = held_out.items[held_out.indptr[row] : held_out.indptr[row + 1]][-context.length :]
        last = positions[len(seen) - 1]
        assert (last > 0).any()
        assert not set(last) & set(seen)
        targets += held_out.targets[row] in last
    assert targets > len(rows) / 4


def test_a_positions_entries_are_those_of_what_was_seen_up_to_it(
    described: dict[str, Any],
) -> None:
    """A training row, and a held-out history that ends there, at the same moment."""
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    context, features = run_.model.retrieved, run_.model.retrieved.features
    position = torch.tensor([[5, 6, 7, 8], [1, 2, 0, 0]])
    entries = context.before(position).numpy()
    assert entries.shape == (2, 4, context.k)
    assert (entries[1, 2:] == -1).all()
    for row, column in ((0, 0), (0, 3), (1, 1)):
        index = int(position[row, column]) - 1
        start = features.indptr[features.users[index]]
        history, now = features.items[start : index + 1], features.times[[index]]
        alone = context.at([history], now, features.users[[index]]).numpy()
        assert (alone[0, -1] == entries[row, column]).all()


def test_a_large_data_set_is_retrieved_batch_by_batch(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = prepare("EnhancedGenRec", "two_cycles", options=described).model.retrieved
    position = torch.tensor([[400, 401, 402], [9, 10, 0]])
    prepared = context.before(position)
    assert (prepared[0] >= 0).any()
    monkeypatch.setattr(retrieved_context, "MAX_PREPARED", 0)
    context._prepared = None
    assert torch.equal(context.before(position), prepared)
    assert context._prepared is None


def test_an_items_numbers_are_its_count_in_training_its_year_and_its_rating(
    described: dict[str, Any],
) -> None:
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    features = training_features(run_.config, run_.data.train.dataset)
    counts, tokens = (
        np.log1p(features.counts[1:]),
        run_.data.train.dataset.field2id_token["item_id"],
    )
    years = np.array([1950 + int(token[1:]) for token in tokens[1:]], dtype=float)
    years[[token in ("i4", "i39") for token in tokens[1:]]] = np.nan  # no year
    for column, naive in enumerate((counts, years)):
        naive = (naive - np.nanmean(naive)) / np.nanstd(naive)
        numbers = features.content.numbers[1:, column].numpy()
        np.testing.assert_allclose(numbers, np.nan_to_num(naive), rtol=1e-4, atol=1e-5)
        assert features.content.is_number[1:, column].tolist() == (~np.isnan(naive)).tolist()
    assert features.content.numbers.shape[1] == 3


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


def test_adaptation_learns_from_the_validation_items_and_from_nothing_else(
    described: dict[str, Any],
) -> None:
    given = described | {"components": ["adaptation"], "adaptation_rate": 0.05}
    still = train("EnhancedGenRec", "two_cycles", options=given | {"adaptation_rate": 0.0})
    moved = train("EnhancedGenRec", "two_cycles", options=given)
    for trained in (still, moved):
        valid = trained.data.valid
        list(prequential_rows(trained.model, valid.held_out, valid.outcomes, np.zeros(0)))
    valid = still.data.valid.held_out
    rows = np.arange(len(valid))

    def likelihood(trained: Any) -> float:
        scores = torch.from_numpy(scores_of(trained, valid)).log_softmax(1)
        return float(scores[rows, valid.targets].mean())

    assert likelihood(moved) > likelihood(still)


def test_an_update_scores_what_the_ranking_scores(described: dict[str, Any]) -> None:
    """Retrieved tokens too."""
    options = described | {"components": ["fusion", "retrieval", "debiasing", "explanation"]}
    run_ = prepare("EnhancedGenRec", "two_cycles", options=options)
    model, held_out = run_.model.eval(), run_.data.valid.held_out
    torch.nn.init.ones_(model.retrieved.gate)
    assert (model.retrieved.now(held_out, np.arange(len(held_out))) >= 0).any()
    ranked = scores_of(run_, held_out)
    rows = {user: row for row, user in enumerate(held_out.users.tolist())}
    for step in next_item_events(held_out, run_.data.valid.outcomes)[:5]:
        row = rows[step.user]
        scores = torch.from_numpy(ranked[row]).index_fill(
            0, torch.from_numpy(step.history), -torch.inf
        )
        expected = -scores.log_softmax(0)[step.item]
        torch.testing.assert_close(model.event_losses([step])[0].loss, expected)
        ignorant = model.event_losses([step._replace(query_time=None)])[0].loss
        assert not torch.equal(ignorant, expected)


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


def test_an_items_vector_is_its_own_and_its_contents(described: dict[str, Any]) -> None:
    model = prepare("EnhancedGenRec", "two_cycles", options=described).model.eval()
    content = model.item_table() - model.item_embedding.weight
    torch.testing.assert_close(content, model.content.weight * model.content.fusion())
    assert content[1:].any(1).all()  # each has a count of its interactions, if nothing else


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
    assert len(uneven) > ranking.EVAL_CHUNK
    for row in (0, 17, 118):
        alone = model.score_histories(uneven, np.array([row]))
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4, atol=1e-5)


def test_fairness_is_of_probabilities() -> None:
    """What a user adds to the scores of all items changes no r̂."""
    torch.manual_seed(0)
    states, items, bias = torch.randn(4, 3), torch.randn(7, 3), torch.randn(7)
    targets = torch.tensor([1, 2, 3, 6])
    likely = log_likelihood(states, items, bias, targets)
    expected = (states @ items.T + bias).softmax(1).log()[torch.arange(4), targets]
    torch.testing.assert_close(likely, expected)
    more, one = torch.randn(4, 1), torch.ones(7, 1)
    shifted = log_likelihood(
        torch.cat([states, more], 1), torch.cat([items, one], 1), bias, targets
    )
    torch.testing.assert_close(shifted, likely)


def test_items_that_training_never_shows_can_be_left_out_of_the_loss(
    described: dict[str, Any],
) -> None:
    for negatives in (True, False):
        options = described | {"components": ["debiasing"], "cold_items_as_negatives": negatives}
        model = (run_ := prepare("EnhancedGenRec", "two_cycles", options=options)).model
        if not negatives:
            model.excluded_items[7] = True
        (batch, *_) = run_.data.train
        batch = batch[(batch[model.POS_ITEM_ID] != 7).all(1)]
        model.calculate_loss(batch).backward()
        assert (model.item_bias.grad[7] == 0) != negatives


def test_fairness_adds_an_adversary_to_the_loss(described: dict[str, Any]) -> None:
    losses = []
    for fairness in (0.0, 1.0):
        options = described | {"components": ["debiasing"], "fairness_weight": fairness}
        run_ = prepare("EnhancedGenRec", "two_cycles", options=options)
        batch = next(iter(run_.data.train))
        losses.append(run_.model.eval().calculate_loss(batch).item())
    assert losses[1] > losses[0]


def test_each_target_weighs_what_its_own_interaction_does(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every interaction's item for its weight, the weights are the targets."""
    run_ = prepare(
        "EnhancedGenRec", "two_cycles", options=described | {"components": ["debiasing"]}
    )
    features = training_features(run_.config, run_.data.train.dataset)
    run_.model.debiasing.ips_weights = torch.from_numpy(features.items).float()
    seen = []

    def record(states: Any, table: Any, targets: Any, bias: Any, weights: Any) -> torch.Tensor:
        seen.append((targets, weights))
        return states.sum()

    monkeypatch.setattr(run_.model, "loss", record)
    for batch in run_.data.train:
        run_.model.calculate_loss(batch)
    assert seen
    assert all(torch.equal(targets.float(), weights) for targets, weights in seen)


def test_what_came_to_be_later_is_not_retrieved_earlier(described: dict[str, Any]) -> None:
    """One history, queried before and after the others went the same way."""
    options = described | {"components": ["retrieval"], "retrieval_text_share": 0.0}
    context = prepare("EnhancedGenRec", "two_cycles", options=options).model.retrieved
    retrieved = [
        context.now(one_history(np.arange(2, 20), now), np.array([0])) for now in (0.0, 2e9)
    ]
    assert (retrieved[0] == -1).all()
    assert (retrieved[1][0, -1] >= 0).all()


def test_each_file_of_the_data_set_is_parsed_once_a_run(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in Path(described["data_path"]).glob("two_cycles/two_cycles.*"):
        os.utime(path, (1e9, 1e9))  # files that were just written are read again
    table_cache._memory.clear()
    parsed, parse = [], atomic._parse
    monkeypatch.setattr(
        atomic, "_parse", lambda path, *rest: parsed.append(path.name) or parse(path, *rest)
    )
    run("EnhancedGenRec", "two_cycles", options=described | {"epochs": 1})
    assert "two_cycles.item" in parsed
    assert len(parsed) == len(set(parsed))


def test_random_entries_depend_on_the_history_alone_and_are_dated_before_the_query(described):
    options = described | {"components": ["retrieval"], "retrieved_source": "random"}
    trained = train("EnhancedGenRec", "two_cycles", options=options | {"epochs": 1})
    context, held_out = trained.model.retrieved, trained.data.test.held_out
    rows = np.arange(len(held_out))
    entries = context.now(held_out, rows).numpy()
    alone = [context.now(held_out, rows[[row]]).numpy()[0] for row in rows]
    assert all((entries[row, : len(its)] == its).all() for row, its in enumerate(alone))
    features = context.features
    for row, drawn in zip(rows, items_of(context, entries)):
        last = held_out.times[held_out.indptr[row + 1] - 1]
        earlier = features.items[features.times <= last]
        assert set(drawn.ravel()) <= {-1, *earlier}
    by_query = train("EnhancedGenRec", "two_cycles", options=described | {
        "components": ["retrieval"], "epochs": 1})  # fmt: skip
    assert (by_query.model.retrieved.now(held_out, rows).numpy() != entries).any()
