from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm4rec_recbole.data import exact_order as sorting
from llm4rec_recbole.data.exact_order import exact_order, order_by_user, repeats, stable_order
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import Log, Split, leave_one_out, temporal_split
from llm4rec_recbole.errors import InputError

Row = tuple[int, int, int]  # user, item, time


def arrays(rows: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.array(column, dtype=np.int64) for column in zip(*rows))


def as_dict(held_out: HeldOut) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """user -> (target, [(item, time), …])"""
    return {
        int(user): (
            int(held_out.targets[row]),
            [
                (int(held_out.items[i]), int(held_out.times[i]))
                for i in range(held_out.indptr[row], held_out.indptr[row + 1])
            ],
        )
        for row, user in enumerate(held_out.users)
    }


def naive_log(rows: list[Row]) -> list[tuple[int, int, int, int]]:
    """(time, row number, user, item) in exact order, the first of each pair only."""
    log, pairs = [], set()
    for time, row, user, item in sorted((t, n, u, i) for n, (u, i, t) in enumerate(rows)):
        if (user, item) not in pairs:
            pairs.add((user, item))
            log.append((time, row, user, item))
    return log


def by_user(log: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    return sorted(log, key=lambda entry: entry[2])  # stable


rows_of_a_log = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(-3, 8)), min_size=1, max_size=40
)


def has_three_of_a_user(rows: list[Row]) -> bool:
    users = [user for user, _ in {(user, item) for user, item, _ in rows}]
    return any(users.count(user) >= 3 for user in users)


def test_order_is_time_then_file_order():
    assert exact_order(np.array([5, 3, 5, 3, 4])).tolist() == [1, 3, 4, 0, 2]


def test_order_separates_times_that_float32_cannot():
    times = np.array([893286638, 893286637])
    assert np.float32(times[0]) == np.float32(times[1])
    assert exact_order(times).tolist() == [1, 0]
    assert exact_order(times.astype(np.float64)).tolist() == [1, 0]


@given(
    st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=30),
    st.sampled_from([np.int64, np.float64, np.int32]),
)
def test_stable_order_is_argsort_of_any_numbers(keys, dtype):
    keys = np.array(keys, dtype=np.int64).astype(dtype)
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


def test_stable_order_is_argsort_of_fractions_and_infinities():
    keys = np.array([0.5, np.inf, -0.0, 0.0, 0.25, -np.inf, 1e300])
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
    keys = np.array([2.0, 1.0, np.inf])
    assert stable_order(keys).tolist() == [1, 0, 2]


numbers = st.one_of(st.integers(-3, 3), st.integers(-(2**53), 2**53), st.sampled_from([0.5, 1e300]))


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 7, 2**40]), numbers), max_size=40),
    st.sampled_from([np.int64, np.float64]),
    st.booleans(),
    st.integers(1, 9),
)
@example([(0, 2), (1, -9_007_199_254_740_991)], np.int64, False, 2)
def test_order_by_user_is_lexsort(rows, dtype, grouped, span):
    users = np.array([user for user, _ in rows], dtype=np.int64)
    times = np.array([time for _, time in rows], dtype=np.float64)
    times = np.where(abs(times) < 2**62, times, 0).astype(dtype)
    users = np.sort(users) if grouped else users
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_SORTED_AT_ONCE", span)
        assert order_by_user(users, times).tolist() == np.lexsort((times, users)).tolist()


@pytest.mark.parametrize("order", [exact_order, lambda times: order_by_user(np.ones(2), times)])
def test_times_that_are_not_exact_are_refused(order):
    with pytest.raises(TypeError, match="float32"):
        order(np.array([1.0, 2.0], dtype=np.float32))
    with pytest.raises(InputError, match="interaction 2 has no time"):
        order(np.array([1.0, np.nan]))


@given(rows_of_a_log.filter(has_three_of_a_user), st.integers(1, 9))
def test_a_log_is_split_alike_however_many_users_are_sorted_at_once(rows, span):
    whole = leave_one_out(Log(*arrays(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_SORTED_AT_ONCE", span)
        some = leave_one_out(Log(*arrays(rows)))
    assert some.train.tolist() == whole.train.tolist()
    assert as_dict(some.test) == as_dict(whole.test)
    assert some.counts == whole.counts


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.integers(1, 9))
def test_repeats_name_each_pair_that_occurs_earlier_and_where_it_last_did(pairs, span):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    users, items = (np.array([pair[i] for pair in pairs], dtype=np.int32) for i in (0, 1))
    last, expected = {}, {}
    for position, pair in enumerate(pairs):
        if pair in last:
            expected[position] = last[pair]
        last[pair] = position
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_SORTED_AT_ONCE", span)
        later, earlier = repeats(users, items)
    assert dict(zip(later.tolist(), earlier.tolist())) == expected


def test_an_empty_log_is_refused():
    empty = np.array([], dtype=np.int64)
    with pytest.raises(InputError, match="no interactions"):
        Log(empty, empty, empty)


def test_loo_tests_the_last_and_validates_the_one_before():
    users, items, times = arrays([(1, 7, 30), (1, 8, 10), (2, 9, 5), (1, 6, 20), (1, 5, 40)])
    split = leave_one_out(Log(users, items, times, 20))
    assert as_dict(split.test) == {1: (5, [(8, 10), (6, 20), (7, 30)])}
    assert as_dict(split.valid) == {1: (7, [(8, 10), (6, 20)])}
    assert split.train.tolist() == [1, 3, 2]  # user 1 at times 10 and 20, then user 2
    assert split.test.n_items == split.valid.n_items == 20
    assert split.counts == {"repeats_dropped": 0, "users_train_only": 1}


def test_loo_breaks_ties_by_file_order():
    split = leave_one_out(Log(*arrays([(1, 4, 9), (1, 2, 9), (1, 3, 9)])))
    assert as_dict(split.test) == {1: (3, [(4, 9), (2, 9)])}


@pytest.mark.parametrize("length", [1, 2])
def test_loo_only_trains_on_a_user_with_fewer_than_three(length):
    rows = [(1, item, item) for item in range(1, length + 1)]
    split = leave_one_out(Log(*arrays([*rows, (2, 1, 1), (2, 2, 2), (2, 3, 3)])))
    assert split.train.tolist() == list(range(length + 1))
    assert split.valid.users.tolist() == split.test.users.tolist() == [2]
    assert split.counts["users_train_only"] == 1


@pytest.mark.parametrize(
    "rows",
    [
        [(user, 1, user) for user in range(1, 6)],  # one item
        [(1, 1, 1), (1, 2, 2), (1, 1, 3), (2, 3, 1), (2, 4, 2)],  # three with the repeat
    ],
)
def test_loo_of_users_who_all_have_fewer_than_three_is_refused(rows):
    with pytest.raises(InputError, match=r"none of \d has interacted with three items"):
        leave_one_out(Log(*arrays(rows)))


def test_a_repeat_is_dropped_before_splitting_and_counted():
    rows = [(1, 2, 1), (1, 3, 2), (1, 4, 3), (1, 2, 4), (2, 2, 0)]
    split = leave_one_out(Log(*arrays(rows)))
    assert as_dict(split.test) == {1: (4, [(2, 1), (3, 2)])}  # not item 2, which was seen
    assert split.counts["repeats_dropped"] == 1
    assert 3 not in split.train


def test_of_a_repeat_the_earliest_is_kept_even_if_later_in_the_file():
    split = leave_one_out(Log(*arrays([(1, 2, 9), (1, 2, 1), (1, 3, 5), (1, 4, 6)])))
    assert as_dict(split.test) == {1: (4, [(2, 1), (3, 5)])}


def test_timeline_cuts_all_users_at_one_time():
    rows = [(1, item, item) for item in range(1, 9)] + [(1, 9, 9), (1, 10, 10)]
    rows += [(2, 1, 4), (2, 2, 8), (2, 3, 9), (2, 4, 10), (3, 1, 10), (2, 5, 11)]
    split = temporal_split(Log(*arrays(rows)), valid_share=0.2, test_share=0.3)
    # 16 rows; times in order 1 2 3 4 4 5 6 7 | 8 8 9 | 9 10 10 10 11: the cuts are times 8 and 9.
    assert (split.valid_cut, split.test_cut) == (8, 9)
    assert isinstance(split.valid_cut, int)
    assert split.train.tolist() == [0, 1, 2, 3, 4, 5, 6, 10]
    assert as_dict(split.valid) == {1: (8, [(i, i) for i in range(1, 8)]), 2: (2, [(1, 4)])}
    assert as_dict(split.test) == {
        1: (9, [(i, i) for i in range(1, 9)]),
        2: (3, [(1, 4), (2, 8)]),
    }
    assert split.counts == {
        "repeats_dropped": 0,
        "valid_users_without_training": 0,
        "test_users_without_training": 1,  # user 3
        "later_interactions_not_held_out": 4,
    }


def test_timeline_that_leaves_nobody_to_test_is_refused():
    with pytest.raises(InputError, match="leave 0 interactions to train on"):
        temporal_split(Log(*arrays([(1, item, 7) for item in range(1, 9)])))


def test_timeline_history_stops_strictly_before_the_cut():
    rows = [(1, item, item) for item in range(1, 9)] + [(1, 9, 9), (1, 10, 10), (1, 11, 10)]
    split = temporal_split(Log(*arrays(rows)), valid_share=0.1, test_share=0.1)
    assert split.test_cut == 10
    assert as_dict(split.test)[1] == (10, [(i, i) for i in range(1, 10)])


@given(rows_of_a_log)
def test_loo_agrees_with_a_naive_loop(rows):
    if not has_three_of_a_user(rows):
        with pytest.raises(InputError, match="no user can be tested"):
            leave_one_out(Log(*arrays(rows)))
        return
    log = naive_log(rows)
    train, valid, test = set(), {}, {}
    for user in {u for *_, u, _ in log}:
        own = [(time, row, item) for time, row, u, item in log if u == user]
        train |= {row for _, row, _ in (own if len(own) < 3 else own[:-2])}
        if len(own) >= 3:
            test[user] = (own[-1][2], [(item, time) for time, _, item in own[:-1]])
            valid[user] = (own[-2][2], [(item, time) for time, _, item in own[:-2]])
    split = leave_one_out(Log(*arrays(rows)))
    assert as_dict(split.test) == test
    assert as_dict(split.valid) == valid
    assert split.train.tolist() == [row for _, row, _, _ in by_user(log) if row in train]


@given(rows_of_a_log)
def test_timeline_agrees_with_a_naive_loop_and_never_sees_the_future(rows):
    try:
        split: Split = temporal_split(Log(*arrays(rows)), valid_share=0.25, test_share=0.25)
    except InputError:
        return
    log = naive_log(rows)
    trained = [row for time, row, _, _ in by_user(log) if time < split.valid_cut]
    assert split.train.tolist() == trained
    for held_out, start, end in (
        (split.valid, split.valid_cut, split.test_cut),
        (split.test, split.test_cut, float("inf")),
    ):
        expected = {}
        for user in {u for time, _, u, _ in log if time < split.valid_cut}:
            own = [(item, time) for time, _, u, item in log if u == user]
            later = [item for item, time in own if start <= time < end]
            if later:
                expected[user] = (later[0], [(item, time) for item, time in own if time < start])
        assert as_dict(held_out) == expected


@given(rows_of_a_log.filter(has_three_of_a_user))
def test_a_target_is_never_among_the_seen_items(rows):
    split = leave_one_out(Log(*arrays(rows)))
    for target, history in [*as_dict(split.valid).values(), *as_dict(split.test).values()]:
        assert target not in [item for item, _ in history]
        assert len(history) == len({item for item, _ in history})
