"""Ways of learning from a stream, each against the frozen model: paired over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.components.prequential import Replay
from llm4rec_recbole.errors import InputError


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


def against_first(replays: Sequence[Replay], users: np.ndarray) -> dict[str, Way]:
    """Each replay by its method's name, against the first one; users (T,): whose event it was.

    A user's events are one observation. Raises InputError for fewer than two users.
    """
    who, row = np.unique(users, return_inverse=True)
    if len(who) < 2:
        raise InputError(f"the stream has events of {len(who)} user(s): a test needs two")
    counts = np.bincount(row)
    scores = np.stack([np.bincount(row, each.scores) / counts for each in replays], axis=1)
    differences = scores - scores[:, :1]  # (U, C)
    low, high = significance.bootstrap_interval(differences)
    p = significance.paired_t(differences)
    return {
        each.method: Way(
            score=float(scores[:, n].mean()),
            difference=float(differences[:, n].mean()),
            low=float(low[n]),
            high=float(high[n]),
            p_t=float(p[n]),
            old_before=each.old_before,
            old_after=each.old_after,
            forgetting=each.forgetting,
            ms_per_update=float(np.median(each.milliseconds)),
            selected=float(each.selected.mean()),
        )
        for n, each in enumerate(replays)
    }
