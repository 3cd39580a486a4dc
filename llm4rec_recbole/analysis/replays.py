"""Ways of learning from a stream, each against the frozen model: paired over users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llm4rec_recbole.analysis import significance
from llm4rec_recbole.analysis.ways import Way
from llm4rec_recbole.components.prequential import Replay
from llm4rec_recbole.errors import InputError


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
