"""Catalogue coverage: the share of all items that anybody gets recommended.

    coverage@k = |∪_u top-k(u)| / |I|

(Ge, Delgado-Battenfeld & Jannach, RecSys 2010.) The range is 0 to 1; U users can reach at most
U k / |I|. I is the whole catalogue, also the items without an interaction in training, but not
the pad, which RecBole's ItemCoverage counts. The paper prints coverage@100.
"""

from __future__ import annotations

import numpy as np


def coverage(top: np.ndarray, n_items: int, k: int) -> float:
    """coverage@k of all lists; top: (U, K) item ids, 0 = none; n_items counts the pad."""
    listed = np.unique(top[:, :k])
    return float(np.count_nonzero(listed) / (n_items - 1))
