"""Windows: every interaction is trained on, no window mixes users, masks hide what they should."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.training.windows import (
    Histories,
    batches,
    causal_targets,
    draw_prompts,
    draw_windows,
    mask_windows,
    masked_items,
    similar_lengths,
)


def histories_of(lengths: list[int]) -> Histories:
    """User u's items are 1000 u + 1, 1000 u + 2, …: an item tells its user and its place."""
    users = np.concatenate([np.full(n, u) for u, n in enumerate(lengths)])
    items = np.concatenate([1000 * u + 1 + np.arange(n) for u, n in enumerate(lengths)])
    return Histories.of(users, items)


def next_items(lengths: np.ndarray) -> np.ndarray:
    """How many items of windows of these lengths have a next one."""
    return lengths - 1


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def test_histories_keep_each_users_order_when_users_interleave():
    histories = Histories.of(np.array([2, 1, 2, 1, 2]), np.array([5, 6, 7, 8, 9]))
    assert histories.items.tolist() == [6, 8, 5, 7, 9]
    assert histories.indptr.tolist() == [0, 2, 5]


@given(lengths, st.integers(2, 12), st.integers(0, 99))
def test_windows_cover_every_interaction_and_stay_within_one_user_in_order(lengths, length, seed):
    histories = histories_of(lengths)
    windows = draw_windows(histories, length, np.random.default_rng(seed)).table()
    assert set(windows[windows > 0]) == set(histories.items)
    for window in windows:
        items = window[window > 0]
        assert (np.diff(items) == 1).all()  # consecutive, oldest first, of one user
        assert (window[len(items) :] == 0).all()  # the pad is on the right


@given(lengths, st.integers(2, 12), st.integers(0, 99))
def test_only_histories_shorter_than_the_window_are_padded(lengths, length, seed):
    windows = draw_windows(histories_of(lengths), length, np.random.default_rng(seed)).table()
    padded = windows[(windows == 0).any(1)]
    short = [n for n in lengths if n < length]
    assert sorted((padded > 0).sum(1)) == sorted(short)


def test_no_window_is_drawn_twice_in_an_epoch():
    windows = draw_windows(histories_of([120, 7, 50, 51]), 50, np.random.default_rng(0)).table()
    assert len({tuple(w) for w in windows}) == len(windows)


def test_offsets_differ_between_epochs():
    random = np.random.default_rng(0)
    histories = histories_of([200])
    first, second = (draw_windows(histories, 50, random).table() for _ in range(2))
    assert {tuple(w) for w in first} != {tuple(w) for w in second}


@given(lengths, st.integers(2, 80), st.integers(1, 4), st.integers(0, 99))
def test_batches_hold_every_window_once_and_cut_nothing_but_the_pad(lengths, length, size, seed):
    random = np.random.default_rng(seed)
    windows = draw_windows(histories_of(lengths), length, random)
    of_epoch = list(batches(windows, size, random, next_items))
    rows = [tuple(row[row > 0]) for batch in of_epoch for row in batch]
    assert sorted(rows) == sorted(tuple(row[row > 0]) for row in windows.table())
    assert len(of_epoch) <= -(-len(windows) // size)


def test_full_windows_come_as_they_were_drawn():
    windows = draw_windows(histories_of([40, 33, 12]), 10, np.random.default_rng(0))
    of_epoch = list(batches(windows, 4, np.random.default_rng(0), next_items))
    assert (np.concatenate(of_epoch) == windows.table()).all()
    assert [len(batch) for batch in of_epoch[:-1]] == [4] * (len(of_epoch) - 1)


@pytest.mark.parametrize("targets", [next_items, partial(masked_items, ratio=0.2)])
def test_short_histories_share_batches_of_about_as_many_targets(targets):
    random = np.random.default_rng(0)
    lengths = 2 + random.geometric(0.15, 4000)  # as in the Amazon sets: most have few items
    windows = draw_windows(histories_of(lengths.tolist()), 50, random)
    of_epoch = list(batches(windows, 256, random, targets))
    counts = np.array([targets((batch > 0).sum(1)).sum() for batch in of_epoch])
    assert np.abs(counts / counts.mean() - 1).max() < 0.1  # so every target weighs about the same
    cells = sum(batch.size for batch in of_epoch)
    assert windows.lengths.sum() / cells > 0.9  # of the windows as drawn: 0.17
    longest = np.array([batch.shape[1] for batch in of_epoch])
    assert (np.diff(longest) < 0).any()  # not the short ones first


def test_batches_are_as_many_as_the_schedule_counts_on():
    random = np.random.default_rng(0)
    windows = draw_windows(histories_of([2] * 4), 10, random)
    assert [len(batch) for batch in batches(windows, 2, random, next_items)] == [2, 2]


@given(lengths, st.integers(2, 12), st.integers(1, 40), st.integers(0, 99))
def test_batches_by_targets_hold_every_window_once(lengths, length, n_targets, seed):
    random = np.random.default_rng(seed)
    windows = draw_windows(histories_of(lengths), length, random)
    of_epoch = list(batches(windows, 1, random, next_items, n_targets))
    rows = [tuple(row[row > 0]) for batch in of_epoch for row in batch]
    assert sorted(rows) == sorted(tuple(row[row > 0]) for row in windows.table())


@pytest.mark.parametrize("shape", [0.15, 0.01])  # short histories, and mostly full windows
@pytest.mark.parametrize("targets", [next_items, partial(masked_items, ratio=0.2)])
def test_batches_by_targets_are_equal_work_without_padding(targets, shape):
    random = np.random.default_rng(0)
    lengths = 2 + random.geometric(shape, 4000)
    windows = draw_windows(histories_of(lengths.tolist()), 50, random)
    of_epoch = list(batches(windows, 1, random, targets, 512))
    counts = np.array([targets((batch > 0).sum(1)).sum() for batch in of_epoch])
    assert np.abs(counts / 512 - 1).max() < 0.15
    cells = sum(batch.size for batch in of_epoch)
    assert windows.lengths.sum() / cells > 0.9


def test_batches_by_targets_are_the_same_for_one_seed_and_come_in_random_order():
    windows = draw_windows(histories_of([3, 9, 5, 7, 2, 8] * 20), 10, np.random.default_rng(0))
    first, again, other = (
        list(batches(windows, 1, np.random.default_rng(seed), next_items, 20)) for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert [batch.shape for batch in first] != [batch.shape for batch in other]
    longest = np.array([batch.shape[1] for batch in first])
    assert (np.diff(longest) < 0).any()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 99))
def test_batches_of_similar_lengths_hold_every_row_once(lengths, size, seed):
    lengths = np.array(lengths)
    parts = similar_lengths(lengths, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    assert len(parts) == -(-len(lengths) // size)
    assert max(map(len, parts)) <= size
    ranges = sorted((lengths[rows].min(), lengths[rows].max()) for rows in parts)
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))


def test_causal_targets_are_the_next_items():
    inputs, targets = causal_targets(np.array([[1, 2, 3, 4], [5, 6, 0, 0]]))
    assert inputs.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert targets.tolist() == [[2, 3, 4], [6, 0, 0]]


@given(lengths, st.floats(0.05, 0.9), st.floats(0, 1), st.integers(0, 99))
def test_masks_hide_exactly_the_items_they_name(lengths, ratio, last_only, seed):
    random = np.random.default_rng(seed)
    windows = draw_windows(histories_of(lengths), 10, random).table()
    cloze = mask_windows(windows, ratio, last_only, 99_999, random)
    restored = cloze.masked.copy()
    rows, columns = np.nonzero(cloze.items)
    restored[rows, cloze.positions[rows, columns]] = cloze.items[rows, columns]
    assert (restored == windows).all()
    assert ((cloze.masked == 99_999).sum(1) == (cloze.items > 0).sum(1)).all()
    assert (cloze.positions[cloze.items == 0] == 0).all()
    assert (cloze.positions[cloze.items > 0] > 0).all()  # RecBole reads position 0 as "none"


def test_share_of_masked_items_is_the_ratio():
    random = np.random.default_rng(0)
    windows = draw_windows(histories_of([500] * 20), 50, random).table()
    cloze = mask_windows(windows, 0.3, 0.0, 99_999, random)
    assert (cloze.items > 0).mean(1) == pytest.approx(np.ones(len(windows)))
    assert cloze.items.shape[1] == 15


def test_last_only_masks_the_last_item_and_no_other():
    windows = np.array([[1, 2, 3, 4], [5, 6, 0, 0]])
    cloze = mask_windows(windows, 0.5, 1.0, 9, np.random.default_rng(0))
    assert cloze.masked.tolist() == [[1, 2, 3, 9], [5, 9, 0, 0]]


@given(lengths, st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_prompts_hold_what_came_before_and_answers_what_came_next(lengths, length, n, seed):
    histories = histories_of(lengths)
    prompts = draw_prompts(histories, length, n, np.random.default_rng(seed))
    targets = prompts.after[prompts.after >= 0]
    assert len(set(targets)) == len(targets)  # no item is a target twice
    for user, before, after in zip(prompts.users, prompts.before, prompts.after):
        past, future = before[before > 0], histories.items[after[after >= 0]]
        around = np.concatenate([past, future])
        assert len(past)
        assert len(future)
        assert (around // 1000 == user).all()
        assert (np.diff(around) == 1).all()
        assert len(past) == min(length, future[0] - 1000 * user - 1)
    left_out = set(range(len(histories.items))) - set(targets)
    firsts = histories.indptr[:-1]
    for place in left_out:  # only a user's first items, fewer than n besides the very first
        assert place - firsts[np.searchsorted(firsts, place, "right") - 1] < n
