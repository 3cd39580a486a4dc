"""The page of before and after, from measurements that were not made."""

from __future__ import annotations

from benchmarks.performance.before_after import render


def test_the_threads_share_the_ranking_and_not_the_negatives() -> None:
    side = {"user": 3.0, "kernel": 1.0}
    full = {part: {"cpu": cpu, "wall": 99.0} for part, cpu in (("negatives", 4.0), ("ranking", 40))}
    full |= {"total": {"cpu": 44.0, "wall": 99.0}, "threads": 2, "load": 9.0, "beside_gib": 0.5}
    full |= {"before": {"negatives": 10, "ranking": 90, "total": 100}, "users_before": 8}
    page = render(
        {
            **{"before": "a", "after": "b", "date": "today", "machine": "a CPU", "load": 9.0},
            "rows": {"a start": {"before": side, "after": {"user": 1.0, "kernel": 0.0}}},
            "full_size": full,
        }
    )
    assert "| a start | 4 (1) | 1 (0) | 4.0 × |" in page
    assert "| negatives | 10 | 4 | 99 | 4 |" in page
    assert "| ranking | 90 | 40 | 99 | 20 |" in page
    assert "| total | 100 | 44 | 99 | 24 |" in page
