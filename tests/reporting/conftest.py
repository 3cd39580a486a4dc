"""A results folder that has everything a report can show, its page, and a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm4rec_recbole.cli import tables
from tests.helpers.chromium import NAME, Chromium
from tests.helpers.fake_ablation import add_ablation
from tests.helpers.fake_model_outputs import FAITHFUL, PLAIN, REASON, REPLAY, add_answer
from tests.helpers.fake_report import make_report
from tests.helpers.fake_results import add_run, ranks_around


def history(best: float) -> list[dict[str, float]]:
    """Validation of seven epochs, the fourth the best."""
    return [{"epoch": n, "ndcg@10": best - 0.01 * abs(n - 4)} for n in range(1, 8)]


def add_history(record: Path, best: float) -> None:
    record.write_text(json.dumps(json.loads(record.read_text()) | {"history": history(best)}))


@pytest.fixture(scope="session")
def full_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of run, a second protocol, a history, a failure, what a model was asked."""
    results = tmp_path_factory.mktemp("report") / "results"
    add_ablation(results)
    for method, middle in (("SASRec", 6), ("EASE", 9), ("Pop", 60), ("LightGCN", 21)):
        cost = {"train_seconds": float(middle), "inference_ms_per_user": middle / 10}
        traced = {
            "config_sha256": f"{middle:02d}".ljust(64, "a" if middle % 2 else "0"),
            "started": f"2026-11-22T18:{middle % 60:02d}:00Z",
        }
        path = add_run(results, method, ranks_around(middle, seed=middle), cost=cost, **traced)
        add_history(path, 0.1 + middle / 10_000)
    add_history(results / "runs/ml-100k/loo/EnhancedGenRec/seed_1.json", 0.13)
    for method, middle in (("BPR", 30), ("EASE", 9)):
        add_run(results, method, ranks_around(middle), protocol="temporal", git_commit="b" * 40)
    for kind, content in (
        ("explanations", [REASON, PLAIN]),
        ("faithfulness", FAITHFUL),
        ("replay", REPLAY),
    ):
        add_answer(results, kind, content)
    failures = results.parent / "failures"
    failures.mkdir()
    (failures / "ml-100k.loo.ItemKNN.seed_1.json").write_text('{"error": "out of <memory>"}')
    assert tables.compare(["--results", str(results)]) == 0
    return results


@pytest.fixture(scope="session")
def report_page(full_results: Path) -> Path:
    """The report of `full_results`."""
    assert make_report(full_results) == 0
    return full_results.parent / "report.html"


@pytest.fixture(scope="module")
def browser(report_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Chromium with the report open, in a window of 1280 by 900 px."""
    if NAME is None:
        pytest.skip("no Chromium is installed")
    with Chromium(tmp_path_factory.mktemp("chromium")) as opened:
        opened.screen(1280)
        opened.open(report_page)
        yield opened
