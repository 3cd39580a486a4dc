"""Eqs. (21)–(23) and (25) against loops; the evidence of a small shop with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.explanation.collector import (
    EvidenceCollector,
    ItemNames,
    interaction_vectors,
    item_similarity,
    most_similar,
)
from llm4rec_recbole.components.explanation.context import (
    DAY,
    ContextPart,
    Frequency,
    ItemLocations,
    UserLocations,
    context_attention,
    context_vectors,
    trend,
)
from llm4rec_recbole.components.explanation.evidence import (
    Evidence,
    TypeWeights,
    choose_template,
    clauses_of,
    join_words,
    template_sentence,
    type_weights,
)
from tests.helpers.evidence import make_evidence

RANDOM = np.random.default_rng(0)
NOW = 100 * DAY
TITLES = ["", "Alien", "Aliens", "Heat", "Ran", "Big", "Speed", "Crumb"]
ASPECTS = np.array([[0, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1], [0, 1]], dtype=bool)
# Items 1, 2 and 6 point one way, 3, 4 and 7 another; 5 is like nothing.
VECTORS = np.array([[0, 0], [9, 1], [8, 1], [1, 9], [1, 7], [0, 0], [7, 2], [0, 5]], dtype=float)


def collector(**changed: object) -> EvidenceCollector:
    """Item 7 was chosen six times in the last thirty days and never before."""
    given = {"titles": TITLES, "aspects": ASPECTS, "vectors": VECTORS} | changed
    aspect_names = ["Horror", "Crime"][: given["aspects"].shape[1]]
    names = ItemNames([f"i{n}" for n in range(8)], given["titles"], given["aspects"], aspect_names)
    items = np.array([1] * 20 + [3] * 20 + [7] * 6 + [1] * 4)
    times = np.concatenate([np.linspace(1, 60, 40), np.linspace(80, 99, 10)]) * DAY
    users = np.arange(len(items)) % 5
    return EvidenceCollector(names, given["vectors"], users, items, times, given.get("locations"))


def evidence(item: int, history: list[int], **changed: object) -> Evidence:
    return collector(**changed).evidence("u", item, np.array(history, dtype=np.int64), NOW)


def test_eq21_item_similarity() -> None:
    items, history = RANDOM.normal(size=(3, 5)), RANDOM.normal(size=(4, 5))
    history[2] = 0
    expected = np.zeros((3, 4))
    for i, a in enumerate(items):
        for j, b in enumerate(history):
            if b.any():
                expected[i, j] = sum(a * b) / (np.sqrt(sum(a**2)) * np.sqrt(sum(b**2)))
    np.testing.assert_allclose(item_similarity(items, history), expected, rtol=1e-12)


def test_eq22_most_similar() -> None:
    similarity = np.round(RANDOM.normal(size=30), 1)
    order = sorted(range(30), key=lambda index: (-similarity[index], -index))
    expected = [index for index in order if similarity[index] > 0]
    assert most_similar(similarity, 4).tolist() == expected[:4]
    assert most_similar(similarity, 99).tolist() == expected
    assert most_similar(np.array([0.3, 0.5, 0.5]), 2).tolist() == [2, 1]  # the later of equals


def test_eq23_context_attention() -> None:
    context, parts = RANDOM.normal(size=(4, 5)), RANDOM.normal(size=(4, 3, 5))
    there = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    weights, c = np.zeros((4, 3)), np.zeros((4, 5))
    for row in range(4):
        e = [np.exp(context[row] @ parts[row, p] / np.sqrt(5)) * there[row, p] for p in range(3)]
        for p in range(3):
            weights[row, p] = e[p] / sum(e) if sum(e) else 0
            c[row] += weights[row, p] * parts[row, p]
    got = context_attention(*map(torch.from_numpy, (context, parts, there)))
    np.testing.assert_allclose(got[0], c, rtol=1e-12)
    np.testing.assert_allclose(got[1], weights, rtol=1e-12)


def test_eq25_the_kind_with_the_largest_weight_is_chosen() -> None:
    assert choose_template(TypeWeights(0.2, 0.9, 0.5)) == "similarity"
    assert choose_template(TypeWeights(0.0, 0.0, 0.1)) == "context"
    assert choose_template(TypeWeights(0.7, 0.7, 0.7)) == "preference"
    assert choose_template(TypeWeights(0.0, 0.0, 0.0)) == "none"


def test_eq25_a_weight_is_the_share_of_candidates_with_weaker_evidence() -> None:
    strength = np.array([9.0, 0.5, 0.1, 0.5, np.nan, 0.8, 0.0])
    others = np.array([2, 3, 4, 5])
    found = type_weights(1, others, strength, np.full(7, np.nan), np.arange(7.0))
    assert found == pytest.approx((2.5 / 4, 0.0, 0.0))
    assert type_weights(1, others[:0], strength, np.full(7, np.nan), np.full(7, np.nan)) == (
        1.0,
        0.0,
        0.0,
    )


def test_a_trend_depends_on_earlier_interactions_only() -> None:
    items = np.array([1] * 30 + [2] * 10 + [1] * 10 + [2] * 10 + [3] * 4 + [4] * 50)
    times = np.array([10.0] * 40 + [90.0] * 24 + [100.0] * 50) * DAY
    measured = trend(items, times, 5, NOW)
    assert measured.count.tolist() == [0, 10, 10, 4, 0]  # item 4 comes at the moment itself
    # 24 in the window: by their share before, 18 of them would be item 1 and 6 item 2.
    np.testing.assert_allclose(measured.expected, [0, 18, 6, 0, 0])
    assert not measured.exceeds.any()  # item 2 is within two deviations, item 3 was chosen 4 times


def test_only_a_number_far_above_the_expected_one_exceeds_it() -> None:
    count = np.array([4, 5, 10, 11, 140, 149, 151])
    expected = np.array([0.0, 0.0, 6.0, 6.0, 100.0, 100.0, 100.0])
    frequency = Frequency(count, expected)
    assert frequency.exceeds.tolist() == [False, True, False, True, False, False, True]
    np.testing.assert_allclose(frequency.excess, [0, 5, 0, 5, 0, 0, 51])


def test_no_trend_without_earlier_interactions() -> None:
    assert not trend(np.ones(9, dtype=int), np.full(9, 99 * DAY), 2, NOW).exceeds.any()


def test_the_context_is_in_the_items_own_space_at_length_sqrt_d() -> None:
    vectors = np.array([[0, 0], [3, 0], [0, 4]], dtype=np.float32)
    latest = ContextPart(np.array([0, 1, 0]), np.ones(3, bool))
    rising = ContextPart(np.array([0.0, 0, 7]), np.array([0, 0, 1], bool))
    parts, there = context_vectors(vectors, [latest, rising])
    np.testing.assert_allclose(parts, np.sqrt(2) * np.eye(2), rtol=1e-6)
    assert there.tolist() == [[True, False], [True, False], [True, True]]
    nothing = ContextPart(np.zeros(3), np.ones(3, bool))
    assert not context_vectors(vectors, [nothing, nothing])[1].any()


def test_an_item_in_the_users_own_city_is_evidence() -> None:
    """Items 1, 2 and 6 are in Reno: half of all choices, and all of the user's."""
    cities = np.array(["", "Reno, NV", "Reno, NV", "Boise, ID", "Boise, ID", "", "Reno, NV", ""])
    history = np.array([1, 6] * 5)
    users, items = np.zeros(8, int), np.array([1, 3] * 4)
    nearby = ItemLocations(cities).nearby(0, history, users, items)
    assert nearby is not None
    assert (nearby.place, nearby.of, nearby.is_city) == ("Reno, NV", 10, True)
    assert nearby.frequency.count[2] == 10
    assert nearby.frequency.expected[2] == 5
    assert nearby.part.weights.tolist() == [0, 5, 0, 0, 0, 0, 5, 0]
    assert nearby.part.present.tolist() == [False, True, True, False, False, False, True, False]
    # One city alone says nothing: everybody chooses there.
    everywhere = ItemLocations(np.full(8, "Reno, NV"))
    assert not everywhere.nearby(0, history, users, items).part.present.any()
    assert ItemLocations(np.full(8, "")).nearby(0, history, users, items) is None


def test_what_is_chosen_more_in_the_users_region_is_evidence() -> None:
    """Users 1 and 2 live where zip codes begin with 9; they chose item 3 nine times of ten."""
    locations = UserLocations(np.array(["", "94043", "90210", "10001", ""]), 5)
    users = np.array([1] * 5 + [2] * 5 + [3] * 20)
    items = np.array([3] * 9 + [1] + [1] * 16 + [3] * 4)
    nearby = locations.nearby(1, np.array([1]), users, items)
    assert nearby is not None
    assert (nearby.place, nearby.of, nearby.is_city) == ("zip code 9…", 10, False)
    assert nearby.frequency.count.tolist() == [0, 1, 0, 9, 0]
    np.testing.assert_allclose(nearby.frequency.expected, [0, 8, 0, 2, 0])
    assert nearby.part.present.tolist() == [False, False, False, True, False]
    assert locations.nearby(4, np.array([1]), users, items) is None  # no zip code
    assert locations.nearby(1, np.array([1]), users[:10], items[:10]) is None  # one region alone


def test_a_location_is_a_part_of_the_context() -> None:
    locations = ItemLocations(np.array(["", *["Reno, NV"] * 2, *["Boise, ID"] * 5]))
    history = [1] * 9  # the shop has 24 of 50 choices in Reno
    collected = evidence(2, history, locations=locations)
    assert collected.context.place is not None
    assert collected.context.weights["location"] > 0
    assert "in Reno, NV, where 9 of your 9 choices are" in " ".join(
        clause.text for clause in clauses_of(collected)
    )
    assert evidence(3, history, locations=locations).context.place is None


def test_it_cites_the_similar_items_of_the_users_own_history() -> None:
    collected = evidence(2, [3, 1, 4, 6])
    assert [c.title for c in collected.similar] == ["Alien", "Speed", "Ran"]
    assert collected.similar[0].similarity == pytest.approx(73 / np.sqrt(82 * 65))
    assert [c.nearer for c in collected.similar] == [0, 1 / 6, 2 / 6]


def test_only_the_nearest_items_of_the_catalogue_are_called_similar() -> None:
    """120 items on a quarter circle, three quarters of a degree apart: a twentieth are six."""
    angles = np.radians(0.75 * np.arange(121))
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    none = np.zeros(0, dtype=int)
    names = ItemNames([f"i{n}" for n in range(121)], [""] * 121, np.zeros((121, 0), bool), [])
    shop = EvidenceCollector(names, vectors, none, none, none.astype(float))
    found = shop.evidence("u", 1, np.array([60, 40, 8, 7, 3]), NOW)
    assert [c.item for c in found.similar] == ["i3", "i7"]  # item 8 is the seventh nearest
    assert [c.item for c in found.context.latest] == ["i3", "i7"]
    assert shop.evidence("u", 1, np.array([60, 40, 20]), NOW).template == "none"


def test_its_categories_are_weighed_by_the_users_taste() -> None:
    found = evidence(6, [1, 2, 3])
    assert [a.name for a in found.aspects] == ["Horror", "Crime"]
    shares = (np.array([2, 1]) + np.array([3, 4]) / 7) / 4
    assert [a.weight for a in found.aspects] == pytest.approx(shares)


def test_only_a_category_liked_above_average_is_evidence() -> None:
    found = evidence(6, [1, 2, 3])  # Horror twice and Crime once; usual are 3 and 4 in 7
    assert [a.usual for a in found.aspects] == pytest.approx([3 / 7, 4 / 7])
    assert found.likes == ("Horror",)
    assert evidence(7, [1, 2, 3]).likes == ()  # Crime alone
    assert evidence(7, [1, 2, 3]).weights.preference == 0


def test_a_models_own_taste_wins() -> None:
    taste = np.array([0.1, 0.9])
    found = collector().evidence("u", 6, np.array([1, 2, 3]), NOW, taste)
    assert [(a.name, a.weight) for a in found.aspects] == [("Crime", 0.9), ("Horror", 0.1)]


def test_the_context_has_the_last_items_and_the_rising_ones() -> None:
    found = evidence(7, [1, 3, 4])
    assert [c.title for c in found.context.latest] == ["Ran", "Heat"]  # Alien is not similar
    assert (found.context.recent.count, found.context.recent.exceeds) == (6, True)
    assert found.context.weights["trend"] > found.context.weights["time"] > 0
    other = evidence(2, [1, 3, 4]).context  # item 2 was never chosen
    assert (other.weights["trend"], other.recent.exceeds) == (0, False)


def test_what_comes_after_the_moment_changes_nothing() -> None:
    plain = collector()
    later = collector()
    later.items = np.append(later.items, np.full(99, 2))
    later.times = np.append(later.times, np.full(99, NOW))
    history = np.array([1, 3, 4])
    assert later.evidence("u", 2, history, NOW) == plain.evidence("u", 2, history, NOW)


def test_an_item_of_the_history_is_explained_without_itself() -> None:
    found = evidence(1, [1, 3, 2])
    assert "Alien" not in [c.title for c in (*found.similar, *found.context.latest)]
    assert found == evidence(1, [3, 2])


@pytest.mark.parametrize("item", range(1, 8))
def test_a_history_of_one_item(item: int) -> None:
    found = evidence(item, [1])
    assert len(found.similar) <= 1
    assert template_sentence(found)


def test_the_only_item_of_the_history_itself() -> None:
    found = evidence(1, [1])
    assert (found.template, found.similar, found.context.latest) == ("none", (), ())
    assert found.aspects[0].weight == 0  # nothing is known of the user's taste
    assert "no reason" in template_sentence(found)


def test_no_categories_in_the_data_set() -> None:
    found = evidence(2, [1, 3], aspects=np.zeros((8, 0), dtype=bool))
    assert (found.aspects, found.weights.preference) == ((), 0)
    assert found.template in ("similarity", "context")


def test_an_item_without_a_category_in_a_data_set_with_some() -> None:
    found = evidence(5, [1, 3])
    assert (found.aspects, found.weights.preference) == ((), 0)


def test_no_titles_in_the_data_set() -> None:
    collected = evidence(2, [1, 3], titles=[""] * 8)
    assert collected.names[0] == "item i2"
    assert template_sentence(collected).startswith("item i2 ")


def test_nothing_known_of_the_item_at_all() -> None:
    collected = evidence(5, [1, 3])
    assert collected.template == "none"
    assert collected.weights == (0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"template": "preference"}, '"Toy Story" fits your taste for Animation (41 %) and Comedy'),
        (
            {"template": "similarity"},
            '"Toy Story" is like "Star Wars" and "Babe", which you chose.',
        ),
        ({"template": "context"}, '"Toy Story" is like "Apollo 13", among your latest choices.'),
        (
            {"template": "context", "trend": 0.8},
            '"Toy Story" is on the rise: chosen 24 times in the last 30 days, where its earlier '
            "share predicts 8.",
        ),
        (
            {"categories": [], "similar": [], "latest": []},
            '"Toy Story" is recommended, but the data give no reason',
        ),
        ({"title": "", "similar": ("", "Babe")}, 'item 7 is like item 11 and "Babe", which you'),
    ],
)
def test_each_template_has_its_sentence(changed: dict, sentence: str) -> None:
    assert template_sentence(make_evidence(**changed)).startswith(sentence)


@pytest.mark.parametrize(
    ("names", "joined"), [(["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")]
)
def test_names_are_joined_as_a_list(names: list[str], joined: str) -> None:
    assert join_words(names) == joined


def test_interaction_vectors_have_the_cosines_of_the_interaction_matrix() -> None:
    random = np.random.default_rng(1)
    had = random.random((90, 70)) < np.where(
        np.arange(70) % 2 == np.arange(90)[:, None] % 2, 0.6, 0.02
    )
    had[:, 0] = False
    users, items = np.nonzero(had)
    small = interaction_vectors(users, items, 70, d=2)
    assert small.shape == (70, 2)
    alike = item_similarity(small[1:], small[1:])
    same = np.arange(1, 70)[:, None] % 2 == np.arange(1, 70) % 2
    assert alike[same].min() > alike[~same].max()
    whole = interaction_vectors(users, items, 70, d=99)
    np.testing.assert_array_equal(whole, had.T)
    again = interaction_vectors(np.tile(users, 2), np.tile(items, 2), 70, d=99)
    np.testing.assert_array_equal(again, whole)  # once, however often
    np.testing.assert_array_equal(small, interaction_vectors(users, items, 70, d=2))
