"""Table II's four metrics: known answers, laws, and the same by other means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

import llm4rec_recbole  # noqa: F401, so that RecBole is patched when it is imported
from llm4rec_recbole.evaluation.metrics import (
    coverage,
    fairness,
    intra_list_diversity,
    item_novelty,
    item_parity,
    novelty,
    parity,
    user_parity,
)

NAN = float("nan")


def random_lists(n_users: int = 50, n_items: int = 40, length: int = 12, seed: int = 0):
    """Lists (U, K) of distinct items and categories (n_items, 6), every item of at least one."""
    random = np.random.default_rng(seed)
    top = np.stack([random.permutation(n_items - 1)[:length] + 1 for _ in range(n_users)])
    categories = random.random((n_items, 6)) < 0.3
    categories[np.arange(n_items), random.integers(6, size=n_items)] = True
    categories[0] = False
    return top, categories


class TestIntraListDiversity:
    CATEGORIES = np.array([[0, 0], [1, 0], [1, 0], [0, 1], [1, 1], [0, 0]])

    def of(self, *items: int, k: int = 10) -> float:
        return float(intra_list_diversity(np.array([items]), self.CATEGORIES, k)[0])

    def test_items_of_the_same_categories_are_not_diverse(self):
        assert self.of(1, 2) == 0

    def test_items_without_a_category_in_common_are_fully_diverse(self):
        assert self.of(1, 3) == 1

    def test_half_in_common(self):
        assert self.of(1, 4) == pytest.approx(1 - 1 / np.sqrt(2))

    def test_only_the_first_k_count(self):
        assert self.of(1, 2, 3, k=2) == 0
        assert self.of(1, 2, 3, k=3) == pytest.approx(2 / 3)

    @pytest.mark.parametrize("items", [(1, 0), (1, 5), (5, 0), (0, 0)])
    def test_fewer_than_two_known_items_have_no_diversity(self, items):
        assert np.isnan(self.of(*items))

    def test_items_of_no_known_category_and_empty_places_are_left_out(self):
        assert self.of(1, 5, 3, 0) == 1

    def test_without_any_category_no_user_has_a_value(self):
        assert np.isnan(intra_list_diversity(np.array([[1, 2]]), np.zeros((3, 0)), 10)).all()

    def test_it_equals_the_mean_cosine_distance_of_scipy(self):
        top, categories = random_lists(n_users=1500)  # more than are held at once
        expected = [pdist(categories[row[:10]].astype(float), "cosine").mean() for row in top]
        np.testing.assert_allclose(intra_list_diversity(top, categories, 10), expected, atol=1e-12)


class TestCoverage:
    def test_the_pad_is_not_an_item(self):
        assert coverage(np.array([[1, 2], [2, 0]]), n_items=5, k=2) == 2 / 4

    def test_only_the_first_k_count(self):
        assert coverage(np.array([[1, 2], [1, 3]]), n_items=4, k=1) == 1 / 3

    def test_it_is_recboles_but_for_the_pad(self):
        from recbole.evaluator.metrics import ItemCoverage

        top, _ = random_lists(n_users=2)
        metric = ItemCoverage({"topk": [10], "metric_decimal_place": 9})
        theirs = metric.get_coverage(top[:, :10], 40)
        assert coverage(top, 40, 10) == pytest.approx(theirs * 40 / 39)


class TestNovelty:
    def test_what_everybody_knows_is_not_novel_and_what_one_user_knows_is_fully_so(self):
        assert item_novelty(np.array([0, 8, 1, 4]), n_users=8).tolist()[1:] == [0, 1, 1 / 3]

    def test_an_item_new_after_training_is_as_novel_as_can_be(self):
        assert item_novelty(np.array([0, 0]), n_users=8).tolist() == [1, 1]

    def test_a_list_has_the_mean_of_its_items(self):
        of_item = np.array([9.0, 0.2, 0.4, 0.9])
        found = novelty(np.array([[1, 2, 3], [3, 0, 0], [0, 0, 0]]), of_item, 2)
        np.testing.assert_allclose(found, [0.3, 0.9, NAN])

    def test_it_is_the_information_in_bits_over_that_of_an_item_with_one_user(self):
        counts, n_users = np.array([0, 3, 17, 90, 1]), 100
        bits = [-np.log2(c / n_users) for c in counts[1:]]
        np.testing.assert_allclose(item_novelty(counts, n_users)[1:], np.array(bits) / bits[-1])

    def test_of_one_item_it_is_recboles_average_popularity_on_a_log_scale(self):
        from recbole.evaluator.metrics import AveragePopularity

        counts = np.concatenate([[0], np.arange(1, 40)])
        metric = AveragePopularity({"topk": [1], "metric_decimal_place": 9})
        top, _ = random_lists()
        theirs = metric.get_pop(top[:, :1], dict(enumerate(counts)))[:, 0]
        ours = novelty(top, item_novelty(counts, n_users=100), 1)
        np.testing.assert_allclose(100 ** (1 - ours), theirs)

    def test_one_user_alone_knows_everything(self):
        assert item_novelty(np.array([0, 1]), n_users=1).tolist() == [0, 0]


class TestParity:
    def test_two_groups_of_equal_benefit_are_fully_fair(self):
        assert user_parity(np.array([0.5, 0.3, 0.4]), np.array([0, 0, 1])) == 1

    def test_with_two_groups_it_is_the_worse_over_the_better_mean(self):
        assert user_parity(np.array([0.2, 0.8, 1.0]), np.array([0, 0, 1])) == pytest.approx(0.5)

    def test_where_one_group_gets_everything_it_is_zero(self):
        assert user_parity(np.array([0.0, 1.0]), np.array([0, 1])) == 0

    def test_where_nobody_gets_anything_all_are_equal(self):
        assert user_parity(np.zeros(4), np.array([0, 0, 1, 1])) == 1

    def test_three_groups_by_hand(self):
        # pairs by size: 2·1 with gap 1/2, 2·1 with gap 3/4, 1·1 with gap 1/2
        benefit, groups = np.array([0.4, 0.4, 0.2, 0.1]), np.array([0, 0, 1, 2])
        expected = 1 - (2 * 0.5 + 2 * 0.75 + 1 * 0.5) / 5
        assert user_parity(benefit, groups) == pytest.approx(expected)

    def test_it_is_the_mean_gap_over_pairs_of_members_of_different_groups(self):
        random = np.random.default_rng(1)
        benefit, groups = random.random(30), random.integers(4, size=30)
        means = [benefit[groups == g].mean() for g in groups]
        gaps = [
            abs(means[i] - means[j]) / max(means[i], means[j])
            for i in range(30)
            for j in range(30)
            if groups[i] != groups[j]
        ]
        assert user_parity(benefit, groups) == pytest.approx(1 - np.mean(gaps))

    def test_users_of_an_unknown_group_are_left_out(self):
        assert user_parity(np.array([1.0, 1.0, 0.1]), np.array([0, 1, -1])) == 1

    @pytest.mark.parametrize("groups", [[0, 0], [-1, 0], [-1, -1]])
    def test_fewer_than_two_groups_have_no_parity(self, groups):
        assert np.isnan(user_parity(np.ones(2), np.array(groups)))

    @given(
        benefit=st.lists(st.floats(0, 1, width=32), min_size=6, max_size=30),
        scale=st.sampled_from([1e-3, 7.0]),
        seed=st.integers(0, 99),
    )
    @settings(max_examples=60)
    def test_it_lies_in_0_to_1_and_knows_neither_scale_nor_names(self, benefit, scale, seed):
        random = np.random.default_rng(seed)
        values = np.array(benefit, dtype=np.float64)
        groups = np.concatenate([[0, 1], random.integers(3, size=len(values) - 2)])
        found = user_parity(values, groups)
        assert -1e-12 <= found <= 1 + 1e-12
        assert user_parity(values * scale, groups) == pytest.approx(found)
        assert user_parity(values, 7 - groups) == pytest.approx(found)


class TestItemParity:
    CATEGORIES = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0]])

    def test_places_are_discounted_by_rank(self):
        first, second = 1.0, 1 / np.log2(3)
        found = item_parity(np.array([[1, 2]]), self.CATEGORIES[:3], 10)
        assert found == pytest.approx(second / first)

    def test_only_the_first_k_count(self):
        assert item_parity(np.array([[1, 2]]), self.CATEGORIES[:3], 1) == 0

    def test_a_category_is_judged_by_the_exposure_of_its_items_on_average(self):
        categories = np.array([[0, 0], [1, 0], [0, 1], [0, 1]])
        assert item_parity(np.array([[1], [2], [3]]), categories, 1) == pytest.approx(1)
        assert item_parity(np.array([[1], [2]]), categories, 1) == pytest.approx(0.5)

    def test_an_item_of_two_categories_belongs_half_to_each(self):
        # category 0: items 1 and half of 3, exposure 1 + 0; category 1: 2 and half of 3, 0
        assert item_parity(np.array([[1]]), self.CATEGORIES, 1) == 0
        # exposed are 1 and 3: (1 + 1/2) / 1.5 against (1/2) / 1.5
        assert item_parity(np.array([[1], [3]]), self.CATEGORIES, 1) == pytest.approx(1 / 3)

    def test_the_pad_and_items_of_no_category_stand_outside(self):
        assert item_parity(np.array([[1, 4], [2, 0]]), self.CATEGORIES, 2) == pytest.approx(1)

    def test_without_categories_it_is_nan(self):
        assert np.isnan(item_parity(np.array([[1]]), np.zeros((3, 0)), 1))


class TestFairness:
    def test_it_is_the_mean_of_users_and_items(self):
        assert fairness({"age": 0.8, "gender": 0.6}, 0.5) == pytest.approx(0.6)

    def test_an_unknown_part_is_left_out(self):
        assert fairness({}, 0.5) == 0.5
        assert fairness({"age": NAN, "gender": 0.6}, NAN) == 0.6
        assert np.isnan(fairness({"age": NAN}, NAN))


def test_members_of_several_groups_count_in_parts():
    membership = np.array([[1, 0], [0.5, 0.5]])
    assert parity(np.array([1.0, 0.0]), membership) == 0
    assert parity(np.array([1.0, 1.0]), membership) == 1
