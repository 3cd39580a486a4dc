"""Item ids: all different, none begins another, and none knows what was held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.p5.item_ids import item_codes
from llm4rec_recbole.training.experiment import prepare

kinds = pytest.mark.parametrize("kind", ["sequential", "random", "collaborative"])


@kinds
@settings(max_examples=20)
@given(data=st.data(), n_items=st.integers(1, 30), n=st.integers(1, 60))
def test_codes_spell_a_trie_whatever_the_interactions(kind, data, n_items, n):
    """One item, items that nobody trained with, users with one interaction."""
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    users, items = draw.integers(5, size=n), draw.integers(n_items, size=n)
    names = [f"i{item}" for item in range(n_items)]
    clusters, most = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 5))
    id_tokens = max(clusters + 1, most)  # as few as are allowed
    codes = item_codes(kind, users, items, names, clusters, most, id_tokens)
    assert ItemTrie.build(codes).n_items == n_items  # refuses collisions and prefixes
    assert max(max(code) for code in codes) < (id_tokens if kind == "collaborative" else 100)


def test_a_cluster_with_items_that_nothing_links_has_a_token_for_each_part():
    """Two groups of users, and items that one user each had alone: three parts of one cluster."""
    shared = [
        (user, item) for user in range(8) for item in range(5 * (user % 2), 5 + 5 * (user % 2))
    ]
    users, items = np.array([*shared, *((10 + item, item) for item in range(10, 14))]).T
    names = [f"{item:02}" for item in range(14)]
    codes = item_codes("collaborative", users, items, names, 2, 5, id_tokens=5)
    first, second, unlinked = ({code[:2] for code in codes[at : at + 5]} for at in (0, 5, 10))
    assert [len(part) for part in (first, second, unlinked)] == [1, 1, 1]
    assert len(first | second | unlinked) == 3
    with pytest.raises(InputError, match="2 id tokens for 2 clusters of at most 2"):
        item_codes("collaborative", users, items, names, 2, 2, id_tokens=2)


def test_sequential_numbers_items_as_training_histories_name_them():
    users, items = np.array([4, 2, 4, 2, 2]), np.array([3, 1, 0, 3, 2])
    codes = item_codes("sequential", users, items, ["d", "c", "b", "a", "e"])
    assert codes == [(1,), (2,), (3,), (0,), (4,)]  # user 4: 3, 0; user 2: 1, 2; then "e"


def test_numbers_of_a_large_catalogue_have_two_digits_each():
    codes = item_codes("sequential", np.zeros(150, int), np.arange(150), [""] * 150)
    assert (codes[7], codes[123]) == ((0, 7), (1, 23))


def test_collaborative_codes_put_items_that_share_users_together():
    """Ten users take items 0 to 19, ten others items 20 to 39."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(20), 12)
    items = np.concatenate([random.permutation(20)[:12] + 20 * (user >= 10) for user in range(20)])
    codes = item_codes(
        "collaborative", users, items, [f"{i:02}" for i in range(40)], 2, 25, id_tokens=100
    )
    halves = [{code[:2] for code in codes[:20]}, {code[:2] for code in codes[20:]}]
    assert [len(half) for half in halves] == [1, 1]
    assert halves[0] != halves[1]


@kinds
def test_held_out_interactions_change_no_index(kind, options, two_cycles, tmp_path):
    """Other held-out items for all users, in another order of the file, so that RecBole numbers
    users and items anew: each raw item keeps its code. Six items are met in held-out rows alone."""
    untrained = {f"i{item}" for item in (4, 5, 20, 21, 36, 37)}
    head, *rows = (two_cycles / "two_cycles" / "two_cycles.inter").read_text().splitlines()
    split = [row.split("\t") for row in rows]
    held = {name: [n for n, row in enumerate(split) if row[0] == name][-2:] for name, *_ in split}
    is_held = {n for numbers in held.values() for n in numbers}
    trained = [row for n, row in enumerate(split) if n not in is_held and row[1] not in untrained]
    codes = []
    for version, other in (("one", 0), ("two", 1)):
        folder = tmp_path / version / "two_cycles"
        folder.mkdir(parents=True)
        last = [split[n] for n in sorted(is_held)]
        last = [[u, f"i{int(i[1:]) ^ other}", r, t] for u, i, r, t in last]
        every = trained + last if other == 0 else last[::-1] + trained
        (folder / "two_cycles.inter").write_text("\n".join([head, *map("\t".join, every)]) + "\n")
        chosen = {"data_path": str(folder.parent), "item_indexing": kind}
        small = {"id_clusters": 3, "max_cluster_items": 6, "id_tokens": 50}
        model = prepare("P5", "two_cycles", options=options | chosen | small)
        names = model.data.test.dataset.field2id_token["item_id"]
        first = len(model.model.words)
        codes_by_name = {
            n: [t - first for t in c] for n, c in zip(names[1:], model.model.codes[1:])
        }
        codes.append(codes_by_name)
    assert sorted(codes[0]) == sorted(codes[1])
    assert list(codes[0]) != list(codes[1])  # RecBole did number them anew
    assert codes[0] == codes[1]
    orders = [[name for name in version if name in untrained] for version in codes]
    assert len(orders[0]) == 6  # they are in the catalogue,
    assert orders[0] != orders[1]  # and RecBole numbered them anew, too


def test_what_cannot_be_indexed_is_refused():
    one = np.zeros(1, int)
    for id_tokens in (5, 20):
        with pytest.raises(InputError, match=f"{id_tokens} id tokens for 20 clusters"):
            item_codes("collaborative", one, one, ["a"], 20, 10, id_tokens)
    with pytest.raises(InputError, match="clusters of at most 0"):
        item_codes("collaborative", one, one, ["a"], 20, 0, 30)
