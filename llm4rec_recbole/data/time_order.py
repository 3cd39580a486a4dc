"""What a protocol's split does to the order of time, for a note below its tables.

`loo` tests each user at a time of its own. A model then trains on interactions that other users
had later than that. `temporal` has one cut for all users, and trains on nothing later.
"""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.data.splits import Split

HOUR = 3600  # seconds


def time_order(times: np.ndarray, split: Split) -> dict[str, float]:
    """Return four shares of `split`; times: (N,), of all interactions, in seconds.

    train_later_than_test    mean over test users of the share of the training interactions
                             that are later than the user's test item
    valid_not_before_test    the same share of the validation items, those of equal time too
    test_at_last_time        share of the test items at the same time as the item before
    test_within_an_hour      share of the test items at most an hour after the item before
    """
    tested = times[split.test_rows]  # (U,)
    train, valid = np.sort(times[split.train]), np.sort(times[split.valid_rows])
    not_later = np.searchsorted(train, tested, side="right")  # (U,) training interactions
    before = np.searchsorted(valid, tested, side="left")  # (U,) validation items
    gaps = tested - split.test.times[split.test.indptr[1:] - 1]  # (U,) since the item before
    shares = {
        "train_later_than_test": 1 - not_later.mean() / len(train),
        "valid_not_before_test": 1 - before.mean() / len(valid),
        "test_at_last_time": (gaps == 0).mean(),
        "test_within_an_hour": (gaps <= HOUR).mean(),
    }
    return {name: round(float(share), 4) for name, share in shares.items()}
