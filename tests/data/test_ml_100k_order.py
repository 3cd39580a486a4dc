"""ml-100k's leave-one-out items, from the raw file with integers only, and with float32 times."""

from __future__ import annotations

import numpy as np
import pytest

from llm4rec_recbole.data.splits import Log, leave_one_out, temporal_split


@pytest.fixture(scope="module")
def split(ml_100k):
    return leave_one_out(Log(ml_100k.users, ml_100k.items, ml_100k.times))


def by_hand(folder) -> dict[str, list[str]]:
    """user -> items, oldest first; integers and strings, none of the package's code."""
    rows: dict[str, list[tuple[int, int, str]]] = {}
    with open(folder / "ml-100k.inter") as file:
        next(file)
        for number, line in enumerate(file):
            user, item, _, time = line.rstrip("\n").split("\t")
            rows.setdefault(user, []).append((int(time), number, item))
    return {user: [item for *_, item in sorted(own)] for user, own in rows.items()}


def test_the_943_leave_one_out_items_are_those_of_the_raw_file(ml_100k, ml_100k_folder, split):
    expected = by_hand(ml_100k_folder)
    assert len(expected) == len(split.test) == len(split.valid) == 943
    for held_out, place in ((split.valid, -2), (split.test, -1)):
        for row, user in enumerate(ml_100k.user_tokens[held_out.users]):
            own = expected[user]
            assert ml_100k.item_tokens[held_out.targets[row]] == own[place]
            history = held_out.items[held_out.indptr[row] : held_out.indptr[row + 1]]
            assert ml_100k.item_tokens[history].tolist() == own[:place]


def test_float32_times_would_test_another_item_for_149_users(ml_100k, split):
    """docs/data.md: 46.6 % of rows move, 15.8 % of test items change (RecBole #2204)."""
    users, items, times = ml_100k.users, ml_100k.items, ml_100k.times
    rounded = times.astype(np.float32).astype(np.float64)
    assert np.spacing(times.astype(np.float32).max()) == 64  # seconds
    moved = np.lexsort((times, users)) != np.lexsort((rounded, users))
    assert moved.sum() == 46_649
    other = leave_one_out(Log(users, items, rounded))
    assert (other.test.targets != split.test.targets).sum() == 149
    assert (other.valid.targets != split.valid.targets).sum() == 254


def test_timeline_holds_out_what_docs_say(ml_100k):
    split = temporal_split(Log(ml_100k.users, ml_100k.items, ml_100k.times))
    assert (split.valid_cut, split.test_cut) == (889237269, 891382309)
    assert len(split.train) == (ml_100k.times < 889237269).sum() == 79_999
    assert (len(split.valid), len(split.test)) == (81, 69)
