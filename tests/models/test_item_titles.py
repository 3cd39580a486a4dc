"""Titles as tokens: no two items share a sequence, whatever the titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.genrec.title_model import titles_of, unique_title_tokens


def by_letter(text: str) -> list[int]:
    return [ord(letter) for letter in text if letter != "~"]  # a letter without a token


def spell(titles, years=None, names=None, max_tokens=12):
    years = years or [""] * len(titles)
    names = names or [f"n{item}" for item in range(len(titles))]
    rows = unique_title_tokens(titles, years, names, by_letter, max_tokens)
    return ["".join(map(chr, row)) for row in rows]


def test_titles_that_differ_stay_as_they_are():
    assert spell(["Alien", "Brazil"]) == ["Alien", "Brazil"]


def test_the_year_separates_remakes_and_the_raw_token_separates_the_rest():
    titles, years = ["Psycho", "Psycho", "Chasing", "Chasing"], ["1960", "1998", "1997", "1997"]
    expected = ["Psyc (1960)", "Psyc (1998)", "Chasing #n2", "Chasing #n3"]
    assert spell(titles, years, max_tokens=11) == expected


def test_a_title_without_tokens_or_without_text_is_named_by_its_raw_token():
    assert spell(["", "  ", "~~"]) == ["item n0", "item n1", "item n2"]


def test_long_titles_are_cut_and_made_unique_if_they_begin_alike():
    assert spell(["x" * 2000]) == ["x" * 12]
    assert spell(["x" * 2000, "x" * 1999]) == ["xxxxxxxx #n0", "xxxxxxxx #n1"]


def test_a_title_that_reads_like_another_with_its_raw_token():
    assert len(set(spell(["Same", "Same", "Same #n0"]))) == 3
    assert len(set(spell(["Same", "Same", "Same #n0", "Same #n0 #0", "~"], max_tokens=99))) == 5
    assert len(set(spell(["Same"] * 3, names=["~", "~~", "~~~"]))) == 3


def test_items_with_the_same_tokens_are_named_in_the_error():
    with pytest.raises(InputError, match="titles of items 7 and 8 have the same tokens"):
        unique_title_tokens(["", ""], ["", ""], ["7", "8"], lambda text: [1] if text else [], 12)


@given(st.lists(st.text("ab ~\n(019)#n", max_size=15), min_size=1, max_size=12), st.integers(1, 8))
def test_any_titles_make_a_catalogue(titles, max_tokens):
    rows = unique_title_tokens(
        titles, [""] * len(titles), [f"n{i}" for i in range(len(titles))], by_letter, max_tokens
    )
    assert ItemTrie.build(rows, end=0).n_items == len(titles)


def test_titles_come_from_the_item_file_and_may_be_missing(tmp_path):
    file = tmp_path / "shop.item"
    file.write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\n7\tBirds, The\t1963\n"
    )
    assert titles_of(file, ["8", "7"]) == (["", "The Birds"], ["", "1963"])
    assert titles_of(tmp_path / "none.item", ["8"]) == ([""], [""])
