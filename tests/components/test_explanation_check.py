"""A sentence names only what is in the evidence; those who would cheat are found out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components.explanation.grounding import (
    GroundingChecker,
    quoted,
    singular,
    words,
)
from tests.helpers.evidence import make_evidence

TITLES = [
    "Toy Story", "Toy Story 2", "Star Wars", "Babe", "Apollo 13", "Apollo", "It", "Seven",
    "The Game", "In & Out", "Les Misérables", "M*A*S*H", "Schindler's List", "Dead Man Walking",
    "Contact", "Star Trek: First Contact", "Wars of the Roses", "187", "M", "The Comedy of Terrors",
]  # fmt: skip
CATEGORIES = ["Animation", "Comedy", "War", "Sci-Fi", "Children's", "Film-Noir", "Mystery"]
CATALOGUE = GroundingChecker(TITLES, CATEGORIES)


def problems(sentence: str, **changed: object) -> list[str]:
    return CATALOGUE.problems(sentence, make_evidence(**changed))


@pytest.mark.parametrize(
    "sentence",
    [
        'Because you chose "Star Wars" and "Babe", "Toy Story" is recommended.',
        "Because you chose “Star Wars,” we think ‘Toy Story’ is for you.",
        "toy story is a comedy like STAR WARS, and so are other comedies.",
        "If you like *Babe*, then Toy Story is an animation that you'll like. I'm sure.",
        "It is an animation in seven parts, after all. It's the game of a dead man in Toy Story.",
        "Toy Story was chosen 24 times in the last 30 days.",
        "Apollo 13 is where you were; Toy Story is a Comedy (41 %).",
        "Now and again: in and out of Toy Story.",
    ],
)
def test_what_names_only_the_evidence_passes(sentence: str) -> None:
    assert problems(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        # another item's title, in every dress
        ('You will like "Toy Story" as you liked "Casablanca".', "'Casablanca' is in quot"),
        ("You will like Toy Story as you liked Dead Man Walking.", "'dead man walking' is a title"),
        ("you will like toy story as you liked dead man walking.", "'dead man walking' is a title"),
        ("Toy Story: LES MISERABLES for children.", "'les miserables' is a title"),
        ("Dead-man walking is like Toy Story.", "'dead man walking' is a title"),
        ("Toy Story is like Schindler’s List.", "'schindler list' is a title"),
        ("Toy Story is like M*A*S*H.", "'m a s h' is a title"),
        # one that goes beyond a title of the evidence, or overlaps it
        ("You will like Toy Story 2.", "'toy story 2' is a title"),
        ("Toy Story has the Star Wars of the Roses.", "'wars of the roses' is a title"),
        ("You will like Toy Story 3.", "'3' is a name or a number"),
        # a title that is an ordinary word
        ("Toy Story is like Seven.", "'seven' is a title"),
        ("Seven is like Toy Story.", "'seven' is a title"),
        ("Toy Story is like It.", "'it' is a title"),
        ("Toy Story is like the Game.", "'the game' is a title"),
        ("Toy Story is like In & Out.", "'in out' is a title"),
        ("Toy Story is like 187.", "'187' is a name or a number"),
        ("Toy Story is like M.", "'m' is a title"),
        # what the catalogue does not have
        ("Toy Story stars Tom Hanks.", "'tom' is a name"),
        ("Toy Story is like Casablanca.", "'casablanca' is a name"),
        ("Toy Story is like 'Casablanca' and 'Rio'.", "'Rio' is in quotation marks"),
        ("Toy Story came out in 1995.", "'1995' is a name or a number"),
        ("Toy Story is like **casablanca**.", "'casablanca' is in quotation marks"),
        ("Toy Story has Mr. Hanks.", "'hanks' is a name"),
        ("Toy Story is like 卡萨布兰卡.", "'卡萨布兰卡' is a name"),
        ('Toy Story is like "casablanca.', "a quotation does not end"),
        # a category
        ("Toy Story is a War film.", "'war' is a category"),
        ("Toy Story is one of the great mysteries.", "'mystery' is a category"),
        ("Toy Story is sci-fi.", "'sci fi' is a category"),
        ("Toy Story is made for children.", "'children' is a category"),
        ("Toy Story is a film noir.", "'film noir' is a category"),
        # nothing
        ("", "it is empty"),
        (' "..." ', "it is empty"),
        ("We think that you will like this one.", "it names nothing of the evidence"),
    ],
)
def test_what_names_anything_else_is_refused(sentence: str, problem: str) -> None:
    assert any(reported.startswith(problem) for reported in problems(sentence)), problems(sentence)


def test_a_category_within_a_title_of_the_evidence_is_not_named() -> None:
    assert problems("Toy Story is like Star Wars.") == []
    assert problems("Toy Story is like The Comedy of Terrors.", categories=["Animation"]) != []
    assert not problems("The Comedy of Terrors is fun.", title="The Comedy of Terrors",
                        categories=["Animation"])  # fmt: skip


def test_part_of_a_title_of_the_evidence_may_be_another_title() -> None:
    first = {"title": "Star Trek: First Contact"}
    assert problems("Star Trek: First Contact is for you.", **first) == []
    assert problems("You will like Star Trek First Contact.", **first) == []
    assert "'contact' is a title" in problems("You will like Contact.", **first)


def test_an_item_called_it() -> None:
    assert problems('"It" is for you.', title="It") == []
    assert problems("You will like It.", title="It") == []


def test_an_item_without_title_is_named_by_its_number() -> None:
    plain = {"title": "", "similar": ["", "Babe"], "categories": []}
    assert problems('item 7 is like item 11 and "Babe", which you chose.', **plain) == []
    assert problems("item 8 is like Babe.", **plain) == ["'8' is a name or a number"]


def test_without_titles_and_categories_it_names_the_item_by_its_number() -> None:
    bare = {"title": "", "similar": [], "latest": [], "categories": []}
    assert problems("item 7 is recommended.", **bare) == []
    assert problems("You will like it.", **bare) == ["it names nothing of the evidence"]


def test_an_empty_catalogue_still_refuses_names_and_quotations() -> None:
    bare = GroundingChecker(["", "..."], [])
    assert bare.problems("Toy Story is like Babe.", make_evidence()) == []
    assert bare.problems('Toy Story is like "Heat".', make_evidence())
    assert bare.problems("Toy Story is like Heat.", make_evidence())


@given(st.sampled_from(TITLES), st.sampled_from(["You will like {} as well.", 'I say "{}" now.']))
def test_any_title_of_the_catalogue_is_found_and_passes_only_as_evidence(
    title: str, sentence: str
) -> None:
    written = sentence.format(title)
    assert (
        CATALOGUE.problems(written, make_evidence(title=title, categories=["Comedy", "War"])) == []
    )
    # "Apollo" lies within the words of Apollo 13.
    if f'"{title}"' not in make_evidence().names and title != "Apollo":
        assert CATALOGUE.problems(written + " Toy Story.", make_evidence())


@given(st.text(max_size=60))
def test_any_text_can_be_checked(text: str) -> None:
    assert isinstance(CATALOGUE.problems(text, make_evidence()), list)


def test_words_know_whether_they_open_a_sentence() -> None:
    opening = [
        w.folded
        for w in words('He written: "It is." Then it (the Game) ended! “So” be it')
        if w.starts
    ]
    assert opening == ["he", "then", "so"]


def test_quotation_marks_differ_from_apostrophes() -> None:
    assert quoted("the users' taste, it's \"A\" and 'B C' or “D”") == ["A", "B C", "D"]
    assert quoted("M*A*S*H is *E*, isn't it?") == ["E"]


@pytest.mark.parametrize(
    ("one", "many"),
    [("comedy", "comedies"), ("drama", "dramas"), ("war", "wars"), ("noir", "noir")],
)
def test_singular(one: str, many: str) -> None:
    assert singular(many) == singular(one) == one
