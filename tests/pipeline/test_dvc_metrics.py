"""What `dvc metrics show` shows, file by file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.pipeline import dvc_metrics


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def add(run: Run, test: object) -> None:
    run.record().parent.mkdir(parents=True, exist_ok=True)
    run.record().write_text(json.dumps({"metrics": {"test": test}}))


def test_means_over_seeds_of_the_full_ranking_and_nothing_else() -> None:
    for seed, ndcg in ((0, 0.1), (1, 0.3)):
        full = {"hit@10": 0.5, "ndcg@10": ndcg, "mrr@10": 0.9}
        add(Run("ml-100k", "loo", "BPR", seed), {"full": full, "uni100": {}})
    add(Run("ml-1m", "recbole", "BPR", 0), {"recall@10": 0.2})
    assert dvc_metrics.write() == 1
    written = {
        path.name: json.loads(path.read_text()) for path in Path("results/metrics").iterdir()
    }
    assert written == {"ml-100k.loo.BPR.json": {"hit@10": 0.5, "ndcg@10": 0.2, "seeds": 2}}


def test_record_without_numbers_is_named() -> None:
    add(Run("ml-100k", "loo", "BPR", 0), {"full": {"hit@10": 0.5}})
    with pytest.raises(InputError, match=r"ml-100k/loo/BPR/seed_0\.json: no test metrics"):
        dvc_metrics.write()
