"""What a record says took part took part: components without data are off, and records say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.enhanced_genrec.build import COMPONENTS
from llm4rec_recbole.training.run import run

ALL = ["fusion", "retrieval", "debiasing", "explanation", "adaptation", "sasrec"]
HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options of a run of one epoch on `shop`, whose items have no file yet."""
    monkeypatch.chdir(tmp_path)
    folder = Path("dataset/shop")
    folder.mkdir(parents=True)
    write_interactions(folder, lambda user, n: 1000 + 10 * n + user)
    return {
        **{"llm": "scratch-16x1", "llm_layers": 1, "llm_dtype": "float32", "hidden_size": 16},
        **{"text_encoder": "hash-8", "epochs": 1, "eval_step": 1, "show_progress": False},
        **{"adaptation_feedback": "implicit"},  # always, whatever a replay gains
        **{"load_col": {"inter": ["user_id", "item_id", "timestamp"]}},
    }


def write_interactions(folder: Path, time_of: Callable[[int, int], int]) -> None:
    """15 users with six items each; time_of(user, n) is the time of the user's n-th interaction."""
    rows = [f"u{u}\ti{(u + t) % 12}\t4\t{time_of(u, t)}" for u in range(15) for t in range(6)]
    (folder / "shop.inter").write_text("\n".join([HEAD, *rows]) + "\n")


def record(options: dict[str, Any]) -> dict[str, Any]:
    path = run("EnhancedGenRec", "shop", options=options)
    content = json.loads(path.read_text())
    assert path.parent.name == content["method"]
    return content


def test_without_any_item_data_three_components_are_off(shop, capsys) -> None:
    content = record(shop)
    assert content["components"] == ["retrieval", "debiasing", "adaptation", "sasrec"]
    assert content["provenance"]["idle_components"] == {
        "fusion": "no texts, categories, years or ratings",
        "explanation": "no categories of items",
    }
    assert "note: component fusion is off: the data have no texts" in capsys.readouterr().err


def test_adaptation_learns_between_the_rankings(shop) -> None:
    content = record(shop | {"adaptation_batch": 4})
    learned = content["adaptation"]
    assert (learned["events"], learned["explicit_events"], learned["updates"]) == (15, 0, 4)
    assert 0 < learned["share_learned_before_ranking"] < 1
    assert learned["seconds"] > 0


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_model_learns_between_rankings_where_a_replay_of_validation_gains(
    shop, rate, capsys
) -> None:
    """All validation items are one new item: only a model that learns expects it."""
    items = [
        [*(f"i{(u + t) % 12}" for t in range(4)), "new", f"i{(u + 5) % 12}"] for u in range(15)
    ]
    rows = [
        f"u{u}\t{item}\t4\t{100 * u + t}"  # one user after the other
        for u, chosen in enumerate(items)
        for t, item in enumerate(chosen)
    ]
    Path("dataset/shop/shop.inter").write_text("\n".join([HEAD, *rows]) + "\n")
    options = {"adaptation_rate": rate, "adaptation_batch": 1, "adaptation_ewc": 0.0}
    options |= {"adaptation_relations": False}
    content = record(shop | options | {"adaptation_feedback": None})
    chosen = content["chosen_on_validation"]["adaptation_feedback"]
    assert chosen == ("implicit" if rate else "none")
    assert ("adaptation" in content) == ("adaptation" in content["components"]) == (rate > 0)
    reason = content["provenance"].get("idle_components", {}).get("adaptation", "")
    assert reason == ("" if rate else "no gain in a replay of the validation items")
    assert ("component adaptation is off: no gain" in capsys.readouterr().err) == (rate == 0)


@pytest.mark.parametrize("components", [ALL, ["debiasing", "adaptation"]])
def test_relations_learn_where_gradients_gain_nothing(shop, components) -> None:
    """Without the component retrieval there are no relations, so nothing is left to learn."""
    options = {"adaptation_rate": 0.0, "adaptation_feedback": None, "components": components}
    content = record(shop | options)
    assert content["chosen_on_validation"]["adaptation_feedback"] == "none"
    if components == ALL:
        learned = content["adaptation"]
        assert learned["relations_learned"]
        assert not learned["gradients"]
        assert learned["events"] == 15
        off = "gradients of adaptation"
        assert "adaptation" in content["components"]
    else:
        assert "adaptation" not in content
        off = "adaptation"
    assert off in content["provenance"]["idle_components"]


def test_choosing_the_feedback_leaves_the_model_as_it_was(shop) -> None:
    from llm4rec_recbole.training.experiment import prepare

    experiment = prepare("EnhancedGenRec", "shop", options=shop | {"adaptation_rate": 0.1})
    model, valid = experiment.model, experiment.data.valid
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.choose_feedback(valid.held_out, valid.outcomes)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_without_an_order_between_users_adaptation_is_off(shop) -> None:
    """All validation items at one moment, and times that are positions in a user's sequence."""
    write_interactions(Path("dataset/shop"), lambda user, n: 1000 + n)
    content = record(shop)
    assert "adaptation" not in content["components"]
    assert "adaptation" not in content
    reason = content["provenance"]["idle_components"]["adaptation"]
    assert reason == "the same time for all validation items"


def test_positions_in_a_sequence_are_no_times(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm4rec_recbole.components.adaptation import prequential

    assert prequential.has_real_times("ml-100k")
    assert not prequential.has_real_times("beauty")
    monkeypatch.setattr(prequential, "has_real_times", lambda dataset: False)
    content = record(shop)
    assert "adaptation" not in content
    reason = content["provenance"]["idle_components"]["adaptation"]
    assert reason == "no times, only each user's order of interactions"


def test_with_titles_and_categories_all_are_on(shop, capsys) -> None:
    rows = [f"i{n}\tThing {n}\t{'Red' if n % 2 else 'Blue'}" for n in range(12)]
    head = "item_id:token\ttitle:token_seq\tcategories:token_seq"
    Path("dataset/shop/shop.item").write_text("\n".join([head, *rows]) + "\n")
    content = record(shop)
    assert content["components"] == ALL
    assert "idle_components" not in content["provenance"]
    assert "note:" not in capsys.readouterr().err


def test_columns_under_other_names_and_items_without_interactions_are_named(shop, capsys) -> None:
    rows = [f"i{n}\tThing {n}\tRed" for n in range(14)]
    head = "item_id:token\tname:token_seq\tgenres:token_seq"
    Path("dataset/shop/shop.item").write_text("\n".join([head, *rows]) + "\n")
    content = record(shop | {"load_col": None})
    on = ["fusion", "retrieval", "debiasing", "adaptation", "sasrec"]  # fusion reads ratings
    assert content["components"] == on
    err = capsys.readouterr().err
    assert "shop.item: no model reads its columns name, genres (" in err
    assert "2 of 14 items have no interaction; they are candidates all the same" in err


@pytest.mark.parametrize(
    ("components", "method"),
    [
        ([], "EnhancedGenRec_none"),
        (["retrieval", "fusion"], "EnhancedGenRec_fusion_retrieval"),
        (ALL, "EnhancedGenRec"),
    ],
)
def test_a_record_is_named_by_the_components(shop, components, method) -> None:
    assert record(shop | {"components": components})["method"] == method


@pytest.mark.parametrize(
    ("components", "option", "value", "reader"),
    [
        (["fusion"], "retrieved_entries", 8, "retrieval"),
        (["fusion"], "fairness_groups", None, "debiasing"),
        (["sasrec"], "aspect_loss_weight", 0.2, "explanation"),
        (["sasrec"], "adaptation_ewc", 1.0, "adaptation"),
        (["fusion"], "language_model_share", 0.5, "sasrec"),
        ([], "text_tokens", 1, "fusion"),
    ],
)
def test_an_option_of_a_component_that_is_off_is_refused(components, option, value, reader) -> None:
    from llm4rec_recbole.training.checks import checked_config

    given = {"components": components, option: value}
    with pytest.raises(InputError, match=f"{option} is not read: the component {reader} is off"):
        checked_config("EnhancedGenRec", "ml-100k", (), given)
    checked_config("EnhancedGenRec", "ml-100k", (), given | {"components": ALL})


def test_each_option_in_the_list_of_components_exists() -> None:
    from llm4rec_recbole.models.enhanced_genrec.options import OPTIONS_OF, EnhancedGenRecOptions

    names = [name for options in OPTIONS_OF.values() for name in options]
    of_two = [name for name in set(names) if names.count(name) > 1]
    assert of_two == ["sasrec_text_std"]
    assert set(names) <= set(EnhancedGenRecOptions.model_fields)
    assert tuple(OPTIONS_OF) == COMPONENTS


def test_a_name_of_the_users_own_stays(shop) -> None:
    assert record(shop | {"components": [], "method": "bare"})["method"] == "bare"


def test_an_unknown_component_is_refused_before_data_are_read(shop) -> None:
    Path("dataset/shop/shop.inter").write_text("damaged")
    with pytest.raises(InputError, match="components is"):
        run("EnhancedGenRec", "shop", options=shop | {"components": ["fushion"]})


def test_the_tables_say_which_component_is_off() -> None:
    from types import SimpleNamespace

    from llm4rec_recbole.reporting.tables.notes import _idle_components

    def run(seed: int, **idle: str) -> SimpleNamespace:
        provenance = {"idle_components": idle} if idle else {}
        return SimpleNamespace(
            method="EnhancedGenRec", dataset="shop", seed=seed, provenance=provenance
        )

    off, on = [run(seed, fusion="no texts") for seed in (0, 2)], run(1)
    assert _idle_components(off) == ["Component fusion is off (no texts): EnhancedGenRec on shop."]
    note = "Component fusion is off (no texts): EnhancedGenRec on shop, seed 0, 2."
    assert _idle_components([off[0], on, off[1]]) == [note]


def test_only_the_weight_of_the_aspects_has_a_default(shop, monkeypatch) -> None:
    """An unclear gain leaves the aspects out of the ranking: their weight is 0 by default."""
    from llm4rec_recbole.models.enhanced_genrec import validation_choices

    defaults = []

    def best_weight(parts: Any, held_out: Any, weights: Any, first_by_default: bool) -> float:
        defaults.append(first_by_default)
        return float(weights[0])

    monkeypatch.setattr(validation_choices, "best_weight", best_weight)
    rows = [f"i{n}\tThing {n}\t{'Red' if n % 2 else 'Blue'}" for n in range(12)]
    head = "item_id:token\ttitle:token_seq\tcategories:token_seq"
    Path("dataset/shop/shop.item").write_text("\n".join([head, *rows]) + "\n")
    item = {"item": ["item_id", "title", "categories"]}
    content = record(shop | {"load_col": shop["load_col"] | item})
    chosen = ["weight of sasrec", "weight of relations", "weight of aspects"]
    assert list(content["chosen_on_validation"]) == chosen
    assert defaults == [False, False, True]
