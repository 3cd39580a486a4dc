"""Grounding check: a sentence may name only what is in the evidence. A sentence that fails is not
shown.

Words are compared without case, accents and punctuation. The rules of naming:

- Text in quotation marks must be a title or a category of the evidence.
- A title of the catalogue with at least two content words is named wherever its words occur one
  after another: `toy story`. A title with fewer ("Seven", "It", "The Game", "In & Out") is named
  only where one of its words has a capital: `the Game`. At the start of a sentence that word must
  be a content word: `Seven is …`, but not `It is …`. Content words are not in FUNCTION_WORDS.
- A category of the catalogue is named wherever it occurs, in singular or plural: `dramas`.
- A match inside a title of the evidence does not count: "Star Wars" does not name War. A longer
  match does: "Toy Story 2" is not "Toy Story".
- Any other word with a capital that does not start a sentence, and any number, must be a word of
  the evidence. This finds names of people, and titles that are not in the catalogue. In a script
  without capitals every word counts as having one.
- A sentence must name something of the evidence.

The rules refuse some good sentences in order to pass no bad one; the template's sentence replaces
them. `Seven of these are dramas` is refused where "Seven" is a film. The rules miss a one-word
title in lower case (`the film seven`) and categories in other words (`romantic`). They also miss a
title that is a function word at the start of a sentence (`It is …`). Claims that name nothing are
checked in claims.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from llm4rec_recbole.components.explanation.context import TREND_DAYS
from llm4rec_recbole.components.explanation.evidence import Evidence

FUNCTION_WORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being both but by
    can could did do does down each even for from had has have he her here him his how i if in into
    is it its just like me more most my never no nor not now of off on once one only or other our
    out over she since so some such than that the their them then there these they this those
    though through to too under until up us very was we were what when where which while who why
    will with would you your""".split()  # noqa: SIM905 (a list of these is unreadable)
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
#: A full stop that ends no sentence: after "Mr" and the like, and after a single letter.
ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|Vol)|\b[^\W\d_])\.$")
_SENTENCE_START = re.compile(
    r"""(?:^|[.!?…]["”'’)]*\s|\n)\s*["“'‘(]*$"""
)  # the text before a sentence
_QUOTED = re.compile(
    r"\"([^\"]*)\"|“([^”]*)”|«([^»]*)»|(?<!\w)['‘]([^'’]+)['’](?!\w)|(?<!\w)\*+([^*]+)\*+(?!\w)"
)


class Word(NamedTuple):
    """A word of a text, and how it was written."""

    folded: str  # without case, accents and possessive ending
    capital: bool
    starts: bool  # it is the first of a sentence


Phrase = tuple[str, ...]  # folded words


class Match(NamedTuple):
    """A phrase that occurs as the words start … end - 1 of a text."""

    start: int
    end: int
    phrase: Phrase
    kind: str


def words(text: str) -> list[Word]:
    """Return the words of a text, in order; a word may contain an apostrophe."""
    result = []
    for match in _WORD.finditer(text):
        first, before = match.group()[0], text[: match.start()]
        capital = first.isalpha() and not first.islower()
        starts = bool(_SENTENCE_START.search(before)) and not ABBREVIATION.search(
            before.rstrip(" \"“'‘(")
        )
        result.append(Word(_folded(match.group()), capital, starts))
    return result


def phrase(text: str) -> Phrase:
    """Return the folded words of a title or a category."""
    return tuple(_folded(word) for word in _WORD.findall(text))


def _folded(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word.replace("’", "'"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return plain.removesuffix("'s")


def singular(folded: str) -> str:
    """Return a noun without its plural ending: the same for singular and plural."""
    if folded.endswith("ies") and len(folded) > 4:
        return folded[:-3] + "y"
    return folded[:-1] if folded.endswith("s") and len(folded) > 3 else folded


class GroundingChecker:
    """Finds a data set's titles and categories in sentences."""

    def __init__(self, titles: Iterable[str], categories: Iterable[str]) -> None:
        self.titles = by_first_word(map(phrase, titles))
        self.categories = by_first_word(map(category_phrase, categories))

    def problems(self, sentence: str, evidence: Evidence) -> list[str]:
        """Return what `sentence` names that is not in the evidence, a problem each."""
        text = words(sentence)
        if not text:
            return ["it is empty"]
        titles = {phrase(name) for name in evidence.names}
        categories = {category_phrase(aspect.name) for aspect in evidence.aspects} - {()}
        singulars = [word._replace(folded=singular(word.folded)) for word in text]
        named = [
            *matches(text, by_first_word(titles)),
            *matches(singulars, by_first_word(categories)),
        ]
        in_catalogue = [
            *matches(text, self.titles, "title"),
            *matches(singulars, self.categories, "category"),
        ]
        foreign = [
            match
            for match in in_catalogue
            if not any(own.start <= match.start and match.end <= own.end for own in named)
            and (match.kind == "category" or _names_title(text[match.start : match.end]))
        ]
        problems = [
            f"{span!r} is in quotation marks"
            for span in quoted(sentence)
            if phrase(span) not in titles and category_phrase(span) not in categories
        ]
        if sentence.count('"') % 2:
            problems.append("a quotation does not end")
        problems += [f"{' '.join(match.phrase)!r} is a {match.kind}" for match in foreign]
        allowed = _words_of(evidence)
        explained = {index for match in named + foreign for index in range(match.start, match.end)}
        for index, word in enumerate(text):
            is_name = (word.capital and not word.starts) or any(c.isdigit() for c in word.folded)
            if is_name and index not in explained and word.folded.partition("'")[0] not in allowed:
                problems.append(f"{word.folded!r} is a name or a number")
        if not named:
            problems.append("it names nothing of the evidence")
        return problems


def allowed_numbers(evidence: Evidence) -> set[str]:
    """Return the numbers of the evidence, as a sentence may write them."""
    context = evidence.context
    numbers = [TREND_DAYS, context.recent.count, context.recent.expected]
    numbers += [100 * aspect.weight for aspect in evidence.aspects]
    if context.place is not None:
        numbers += [context.place.chosen.count, context.place.chosen.expected, context.place.of]
    return {f"{number:.0f}" for number in numbers}


def _words_of(evidence: Evidence) -> set[str]:
    """Return the folded words and the numbers of the evidence, and "I"."""
    names = [*evidence.names, *(aspect.name for aspect in evidence.aspects)]
    if evidence.context.place is not None:
        names.append(evidence.context.place.name)
    return {word for name in names for word in phrase(name)} | allowed_numbers(evidence) | {"i"}


def by_first_word(phrases: Iterable[Phrase]) -> dict[str, list[Phrase]]:
    """Return the phrases by their first words, for `matches`; empty phrases are left out."""
    index: dict[str, list[Phrase]] = {}
    for words_ in sorted(set(phrases) - {()}):
        index.setdefault(words_[0], []).append(words_)
    return index


def matches(text: list[Word], index: dict[str, list[Phrase]], kind: str = "") -> list[Match]:
    """Return every occurrence of a phrase in the text."""
    folded = tuple(word.folded for word in text)
    return [
        Match(start, start + len(words_), words_, kind)
        for start, first in enumerate(folded)
        for words_ in index.get(first, ())
        if folded[start : start + len(words_)] == words_
    ]


def quoted(sentence: str) -> list[str]:
    """Return the texts in quotation marks or between asterisks; an apostrophe is neither."""
    return [max(groups, key=len) for groups in _QUOTED.findall(sentence)]


def category_phrase(name: str) -> Phrase:
    """Return the folded words of a category, in singular."""
    return tuple(singular(word) for word in phrase(name))


def _names_title(matched: list[Word]) -> bool:
    """Whether the words of a title name it: see the head of this file."""
    content = [word.folded not in FUNCTION_WORDS for word in matched]
    return sum(content) >= 2 or any(
        word.capital and (counts or not word.starts) for word, counts in zip(matched, content)
    )
