"""Coverage and fairness of two runs: the test holds its level, and is what it says it is."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from llm4rec_recbole.analysis.compare import compare
from llm4rec_recbole.analysis.system_level_tests import (
    UserSums,
    compare_methods,
    permute_methods,
    user_sums,
)
from llm4rec_recbole.evaluation.metrics import coverage, fairness, item_parity, ndcg, user_parity
from llm4rec_recbole.evaluation.record_reader import read_records
from tests.helpers.fake_results import add_run

N_ITEMS, USERS, LENGTH = 200, 50, 8
CATEGORIES = ["one", "two", "one two", "three", ""]
GENDERS = ["M", "F", "F"]


def draw(random, steep=1.0, users=USERS):
    """Lists (users, LENGTH) of items from 1, popular ones more often."""
    weights = 1 / np.arange(1, N_ITEMS + 1) ** steep
    keys = random.exponential(size=(users, N_ITEMS)) / weights
    return np.argsort(keys, axis=1)[:, :LENGTH] + 1


def covering(lists):
    rows = np.repeat(np.arange(len(lists)), lists.shape[1])
    shape = (len(lists), N_ITEMS + 1)
    counts = sparse.csr_matrix((np.ones(lists.size), (rows, lists.ravel())), shape=shape)
    return UserSums(counts, lambda sums: (sums > 0.5).sum(axis=1) / N_ITEMS)


def test_swapping_is_what_it_says():
    random = np.random.default_rng(0)
    one, other = draw(random), draw(random)
    stays = np.random.default_rng(0).integers(0, 2, size=(20, USERS), dtype=np.int8)[:, :, None]
    naive = [
        coverage(np.where(flip, one, other), N_ITEMS + 1, 100)
        - coverage(np.where(flip, other, one), N_ITEMS + 1, 100)
        for flip in stays
    ]
    found = permute_methods([covering(one)], [covering(other)], permutations=20)
    np.testing.assert_allclose(found, naive, atol=1e-12)


def test_several_seeds_are_swapped_together_and_averaged():
    random = np.random.default_rng(0)
    a, b, c, d = (covering(draw(random)) for _ in range(4))
    together = permute_methods([a, b], [c, d], permutations=9)
    np.testing.assert_allclose(
        together, (permute_methods([a], [c], 9) + permute_methods([b], [d], 9)) / 2
    )


def test_a_true_null_is_rejected_as_often_as_the_level_says():
    random = np.random.default_rng(0)
    found = [
        compare_methods([covering(draw(random))], [covering(draw(random))]) for _ in range(600)
    ]
    for p in ("p_t", "p_randomization"):
        assert np.mean([getattr(each, p) < 0.05 for each in found]) == pytest.approx(
            0.05, abs=0.025
        )
    inside = np.mean([each.low <= 0 <= each.high for each in found])
    assert inside == pytest.approx(0.95, abs=0.025)


def test_a_difference_of_the_size_that_it_names_is_found_four_times_in_five():
    random = np.random.default_rng(0)
    pairs = [(covering(draw(random)), covering(draw(random, steep=1.25))) for _ in range(300)]
    found = [compare_methods([one], [other]) for one, other in pairs]
    true = np.mean([each.difference for each in found])
    named = np.mean([each.smallest_detectable for each in found])
    power = np.mean([each.p_t < 0.05 for each in found])
    assert true == pytest.approx(named, rel=0.2)
    assert power == pytest.approx(0.8, abs=0.1)


def test_a_difference_without_spread_has_p_0():
    """All users have the same list: exchanging some changes nothing, exchanging all does."""
    few = covering(np.tile([1, 2], (USERS, 1)))
    more = covering(np.tile([1, 2, 3], (USERS, 1)))
    assert compare_methods([few], [few]).p_t == 1.0
    result = compare_methods([more], [few])
    assert (result.p_t, result.p_randomization) == (0.0, 1 / 1000)


@pytest.fixture
def runs(tmp_path):
    """Three methods on a data set of our own: a results folder and a folder of atomic files."""
    data = tmp_path / "data" / "shop"
    data.mkdir(parents=True)
    (data / "shop.inter").write_text("user_id:token\titem_id:token\n")
    items = [f"i{n}\t{CATEGORIES[n % 5]}\n" for n in range(1, N_ITEMS + 1)]
    (data / "shop.item").write_text("item_id:token\tcategories:token_seq\n" + "".join(items))
    users = [f"u{n}\t{GENDERS[n % 3]}\t{20 + n}\n" for n in range(USERS)]
    (data / "shop.user").write_text("user_id:token\tgender:token\tage:token\n" + "".join(users))
    random = np.random.default_rng(0)
    for method, middle in (("EnhancedGenRec", 3), ("BPR", 6), ("LightGCN", 9)):
        add(tmp_path / "results", method, draw(random), random.integers(middle, size=USERS))
    return tmp_path / "results", data.parent


def add(results, method, lists, ranks, seed=1):
    names = [f"u{n}" for n in range(USERS)]
    categories = np.array([[c in CATEGORIES[n % 5].split() for c in ("one", "two", "three")]
                           for n in range(N_ITEMS + 1)])  # fmt: skip
    categories[0] = False
    accuracy = ndcg(ranks.astype(float), 10)
    bands = np.digitize(20 + np.arange(USERS), [25, 35, 45, 50, 56])
    parts = {
        "gender": user_parity(accuracy, np.array([GENDERS[n % 3] == "F" for n in range(USERS)])),
        "age": user_parity(accuracy, bands),
    }
    beyond = {
        "coverage@100": coverage(lists, N_ITEMS + 1, 100),
        "fairness@10": fairness(parts, item_parity(lists, categories, 10)),
    }
    path = add_run(results, method, ranks.astype(float), dataset="shop", users=names,
                   beyond=beyond, seed=seed)  # fmt: skip
    users_path = results / "users/shop/loo" / method / f"seed_{seed}.parquet"
    users = pd.read_parquet(users_path)
    users["top_100"] = [[f"i{item}" for item in row] for row in lists]
    users.to_parquet(users_path)
    return path


@pytest.mark.parametrize("metric", ["coverage@100", "fairness@10"])
def test_the_runs_numbers_come_out_again(runs, metric):
    results, data = runs
    methods = {record.method: [record] for record in read_records(results)}
    found = user_sums(methods, metric, data)
    assert sorted(found) == ["BPR", "EnhancedGenRec", "LightGCN"]
    for method, (run,) in found.items():
        assert run.value == pytest.approx(methods[method][0].beyond_accuracy[metric], abs=1e-12)


def whole(runs, metric):
    results, data = runs
    return {c.baseline: c for c in compare(results, data=data) if c.metric == metric}


def test_our_model_is_compared_with_each_baseline(runs):
    for metric in ("coverage@100", "fairness@10"):
        rows = whole(runs, metric)
        values = {r.method: r.beyond_accuracy[metric] for r in read_records(runs[0])}
        assert set(rows) == {"BPR", "LightGCN"}
        for baseline, row in rows.items():
            assert row.method == "EnhancedGenRec"
            assert row.difference == pytest.approx(values["EnhancedGenRec"] - values[baseline])
            assert row.low < row.difference < row.high
            assert row.p_holm >= row.p_t


def test_without_the_data_set_or_with_another_fairness_is_not_compared(runs):
    results, data = runs
    assert whole((results, data.parent / "elsewhere"), "fairness@10") == {}
    file = data / "shop" / "shop.item"
    file.write_text(file.read_text().replace("three", "two"))
    assert whole(runs, "fairness@10") == {}
    assert len(whole(runs, "coverage@100")) == 2


def test_a_number_that_a_run_lacks_is_not_compared(runs):
    path = runs[0] / "runs/shop/loo/LightGCN/seed_1.json"
    record = json.loads(path.read_text())
    record["metrics"]["test"]["fairness@10"] = None
    path.write_text(json.dumps(record))
    assert set(whole(runs, "fairness@10")) == {"BPR"}


def test_a_method_with_one_run_is_compared_with_each_seed_of_another(runs):
    random = np.random.default_rng(5)
    add(runs[0], "LightGCN", draw(random, steep=3.0), random.integers(9, size=USERS), seed=2)
    row = whole(runs, "coverage@100")["LightGCN"]
    values: dict[str, list[float]] = {}
    for record in read_records(runs[0]):
        values.setdefault(record.method, []).append(record.beyond_accuracy["coverage@100"])
    assert len(values["LightGCN"]) == 2
    difference = values["EnhancedGenRec"][0] - np.mean(values["LightGCN"])
    assert row.difference == pytest.approx(difference)
    assert row.low < row.difference < row.high


def test_runs_are_used_again_until_both_sides_have_as_many():
    random = np.random.default_rng(0)
    one, a, b, c = (covering(draw(random)) for _ in range(4))
    assert compare_methods([a, b], [one]) == compare_methods([a, b], [one, one])
    assert compare_methods([one], [a, b, c]) == compare_methods([one, one, one], [a, b, c])
    assert compare_methods([a, b], [a, b]).difference == 0
