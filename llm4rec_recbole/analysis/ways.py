"""What one way of learning from a stream came to, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """What one way of learning came to; means over users of each user's mean over the stream."""

    score: float  # of each event, before it was learned
    difference: float  # of `score`, to the first way's
    low: float  # 95 % bootstrap interval of the difference
    high: float
    p_t: float
    old_before: float  # the same metric on old data, before and after the stream
    old_after: float
    forgetting: float  # old_before - old_after
    ms_per_update: float  # median, wall-clock
    selected: float  # mean share of the learned numbers that an update moved


COLUMNS = (
    "NDCG@10", "Against the first, 95 %", "On old data", "Forgetting", "ms an update", "Moved"
)  # fmt: skip


def texts(way: Way) -> list[str]:
    """`way` for people, a text for each of COLUMNS."""
    return [
        f"{way.score:.4f}",
        f"{way.difference:+.4f} [{way.low:+.4f}, {way.high:+.4f}]",
        f"{way.old_before:.4f} → {way.old_after:.4f}",
        f"{way.forgetting:+.4f}",
        f"{way.ms_per_update:.1f}",
        f"{100 * way.selected:.1f} %",
    ]
