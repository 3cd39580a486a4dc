"""The speedrun's table, from runs that were not run."""

from __future__ import annotations

from benchmarks.performance.speedrun import table

RUN = {
    "seed": 0,
    "epochs": 20,
    "seconds": 58.0,
    "cpu_seconds": 90.0,
    "train_seconds": 40.0,
    "valid_ndcg@10": 0.07,
    "test_hit@10": 0.09,
    "test_ndcg@10": 0.054,
    "git_commit": "abc",
    "hardware": "a processor, 2 cores",
}


def test_rows_are_means_over_the_seeds_of_one_number_of_epochs() -> None:
    other = RUN | {"seed": 1, "seconds": 60.0, "test_ndcg@10": 0.052}
    longer = RUN | {"epochs": 40, "seconds": 110.0}
    text = table({"threads": 2, "load_average": (0.5, 1, 1), "runs": [RUN, other, longer]})
    assert "| 20 | 0, 1 | 59.0 | 90.0 | 0.0700 | 0.0900 | 0.0530 |" in text
    assert "| 40 | 0 | 110.0 |" in text
    assert "a processor, 2 cores, 2 threads" in text
