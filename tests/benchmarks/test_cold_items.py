"""The cold-item split hides what it says, and the report compares like with like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies import cold_items

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")

N_ITEMS = 40


@pytest.fixture
def described(two_cycles: Path, tmp_path: Path) -> Path:
    """`two_cycles` with titles, which tell an item's ring."""
    folder = tmp_path / "two_cycles"
    folder.mkdir()
    (folder / "two_cycles.inter").write_text(
        (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    )
    rows = [f"i{item}\tThe {'odd' if item % 2 else 'even'} one" for item in range(N_ITEMS)]
    head = "item_id:token\tmovie_title:token_seq"
    (folder / "two_cycles.item").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_cold_items_occur_only_as_targets(described: Path, tmp_path: Path) -> None:
    split = cold_items.write_split(described, tmp_path / "cold", 0.1, seed=0)
    cold = set(split.items)
    assert len(cold) == 4
    rows = [
        row.split("\t") for row in (described / "two_cycles.inter").read_text().splitlines()[1:]
    ]
    remaining = [
        row.split("\t") for row in (tmp_path / "cold/cold.inter").read_text().splitlines()[1:]
    ]
    assert remaining == [row for row in rows if row[1] not in cold]
    assert (split.removed, split.remaining) == (len(rows) - len(remaining), len(remaining))
    assert (tmp_path / "cold/cold.item").read_text() == (described / "two_cycles.item").read_text()
    users = {row[0] for row in rows if row[1] in cold}
    assert split.queries
    assert {query.user for query in split.queries} <= users
    for query in split.queries:
        own = sorted((row for row in rows if row[0] == query.user), key=lambda row: float(row[3]))
        last = max(n for n, row in enumerate(own) if row[1] in cold)
        assert own[last][1] == query.target
        before = [row[1] for row in own[:last]]
        assert query.warm == [item for item in before if item not in cold]
        assert query.cold == [item for item in before if item in cold]
        assert query.times == sorted(query.times)
        assert len(query.times) == len(query.warm)


def test_chance_is_the_mean_over_random_orders() -> None:
    counts = np.array([4, 30])
    random = np.random.default_rng(0)
    ranks = random.integers(0, counts, size=(50_000, 2)).ravel()
    drawn = cold_items.per_query(ranks.astype(float), np.tile(counts, 50_000))
    for metric, value in cold_items.random_ranking(counts).items():
        assert drawn[metric].mean() == pytest.approx(value, abs=0.005)


def test_both_models_are_measured_and_the_report_written(described: Path, tmp_path: Path) -> None:
    small = ["--epochs", "1", "--llm", "scratch-16x1", "--text-encoder", "hash-64"]
    cold_items.main([*small, "--data", str(described), "--output", str(tmp_path / "out")])
    measured = json.loads((tmp_path / "out" / "cold_items.json").read_text())
    for rows in measured["rankings"].values():
        for row in rows.values():
            assert row["difference"] == pytest.approx(
                row["GenRecFusion"] - row["EnhancedGenRec_none"]
            )
            assert row["low"] <= row["difference"] <= row["high"]
    report = (tmp_path / "out" / "cold_items.md").read_text()
    assert "among the cold items: NDCG@10" in report
    assert "among all items: NDCG@10" in report


def test_a_model_that_was_trained_on_a_cold_item_is_refused(
    described: Path, tmp_path: Path
) -> None:
    from llm4rec_recbole.training.experiment import prepare

    split = cold_items.write_split(described, tmp_path / "cold", 0.1, seed=0)
    options = {
        "data_path": str(tmp_path),
        "load_col": cold_items.columns(described),
        "llm": "scratch-16x1",
        "llm_layers": None,
        "components": [],
        "quiet": True,
    }
    whole = prepare("EnhancedGenRec", "two_cycles", options=options)
    with pytest.raises(RuntimeError, match="a cold item was trained on"):
        cold_items.ranks_of(whole.model, split, whole.data.train.dataset)
