"""Does a sentence name only what is in the evidence? A sentence that fails is not shown.

What counts as naming, words compared without case, accents and punctuation:

- Anything in quotation marks must be a title or a category of the evidence.
- A title of the catalogue with two content words or more is named wherever its words stand in a
  row: `toy story`. One with fewer ("Seven", "It", "The Game", "In & Out") is named only where a
  word of it is written with a capital: `the Game`; and where that word opens a sentence, only if it
  is a content word: `Seven is …`, but not `It is …`. Content words are those not in FUNCTION_WORDS.
- A category of the catalogue is named wherever it stands, in singular or plural: `dramas`.
- What lies within a title of the evidence is not named: "Star Wars" is no War. What goes beyond
  one is: "Toy Story 2" is not "Toy Story".
- Any other word with a capital that opens no sentence, and any number, must be a word of the
  evidence: the names of people, and of titles that the catalogue does not have. Words of a script
  without capitals count as having one.
- A sentence must name something of the evidence.

The rule would rather refuse a good sentence than let a bad one pass: refusing costs no more than
the template's sentence. `Seven of these are dramas` is refused where "Seven" is a film. Not found:
a one-word title in lower case (`the film seven`), a function word as a title at the beginning of a
sentence (`It is …`), categories in other words (`romantic`), and claims that name nothing.
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
#: What ends with a full stop, but no sentence: "Mr." and the like, a single letter.
ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|Vol)|\b\w)\.$")
_OPENS = re.compile(r"""(?:^|[.!?…]["”'’)]*\s|\n)\s*["“'‘(]*$""")  # what precedes a sentence
_QUOTED = re.compile(
    r"\"([^\"]*)\"|“([^”]*)”|«([^»]*)»|(?<!\w)['‘]([^'’]+)['’](?!\w)|(?<!\w)\*+([^*]+)\*+(?!\w)"
)


class Word(NamedTuple):
    """A word of a text: folded, and as it was written."""

    folded: str
    capital: bool
    opens: bool  # a sentence


Phrase = tuple[str, ...]  # folded words


class Match(NamedTuple):
    """A phrase found among the words start … end - 1 of a text."""

    start: int
    end: int
    what: Phrase
    kind: str


def words(text: str) -> list[Word]:
    """The words of a text, in order; an apostrophe may stand within one."""
    found = []
    for match in _WORD.finditer(text):
        first, before = match.group()[0], text[: match.start()]
        capital = first.isalpha() and not first.islower()
        opens = bool(_OPENS.search(before)) and not ABBREVIATION.search(before.rstrip(" \"“'‘("))
        found.append(Word(_folded(match.group()), capital, opens))
    return found


def phrase(text: str) -> Phrase:
    """The folded words of a title or a category."""
    return tuple(_folded(word) for word in _WORD.findall(text))


def _folded(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word.replace("’", "'"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return plain.removesuffix("'s")


def singular(folded: str) -> str:
    """A noun without its plural ending: the same for both of its numbers."""
    if folded.endswith("ies") and len(folded) > 4:
        return folded[:-3] + "y"
    return folded[:-1] if folded.endswith("s") and len(folded) > 3 else folded


class GroundingChecker:
    """All titles and categories of a data set, ready to be found in sentences."""

    def __init__(self, titles: Iterable[str], categories: Iterable[str]) -> None:
        self.titles = _by_first_word(map(phrase, titles))
        self.categories = _by_first_word(map(_category, categories))

    def problems(self, sentence: str, evidence: Evidence) -> list[str]:
        """What `sentence` names that is not in the evidence; empty where all is in order."""
        text = words(sentence)
        if not text:
            return ["it is empty"]
        titles = {phrase(name) for name in evidence.names}
        categories = {_category(aspect.name) for aspect in evidence.aspects} - {()}
        singulars = [word._replace(folded=singular(word.folded)) for word in text]
        named = _found(text, _by_first_word(titles)) + _found(singulars, _by_first_word(categories))
        found = [
            *_found(text, self.titles, "title"),
            *_found(singulars, self.categories, "category"),
        ]
        foreign = [
            match
            for match in found
            if not any(known.start <= match.start and match.end <= known.end for known in named)
            and (match.kind == "category" or _is_name(text[match.start : match.end]))
        ]
        problems = [
            f"{span!r} stands in quotation marks"
            for span in quoted(sentence)
            if phrase(span) not in titles and _category(span) not in categories
        ]
        if sentence.count('"') % 2:
            problems.append("a quotation does not end")
        problems += [f"{' '.join(match.what)!r} is a {match.kind}" for match in foreign]
        allowed = _words_of(evidence)
        told = {place for match in named + foreign for place in range(match.start, match.end)}
        for place, word in enumerate(text):
            odd = (word.capital and not word.opens) or any(c.isdigit() for c in word.folded)
            if odd and place not in told and word.folded.partition("'")[0] not in allowed:
                problems.append(f"{word.folded!r} is a name or a number")
        if not named:
            problems.append("it names nothing of the evidence")
        return problems


def _words_of(evidence: Evidence) -> set[str]:
    """The folded words, and the numbers, that the evidence has, and "I"."""
    names = [*evidence.names, *(f"{a.name} {100 * a.weight:.0f}" for a in evidence.aspects)]
    numbers = {str(evidence.context.recent), str(TREND_DAYS)}
    return {word for name in names for word in phrase(name)} | numbers | {"i"}


def _by_first_word(phrases: Iterable[Phrase]) -> dict[str, list[Phrase]]:
    index: dict[str, list[Phrase]] = {}
    for each in sorted(set(phrases) - {()}):
        index.setdefault(each[0], []).append(each)
    return index


def _found(text: list[Word], index: dict[str, list[Phrase]], kind: str = "") -> list[Match]:
    """Every place of the text where the words of a phrase stand in a row."""
    folded = tuple(word.folded for word in text)
    return [
        Match(start, start + len(what), what, kind)
        for start, first in enumerate(folded)
        for what in index.get(first, ())
        if folded[start : start + len(what)] == what
    ]


def quoted(sentence: str) -> list[str]:
    """What stands in quotation marks, or between asterisks; an apostrophe is neither."""
    return [max(groups, key=len) for groups in _QUOTED.findall(sentence)]


def _category(name: str) -> Phrase:
    return tuple(singular(word) for word in phrase(name))


def _is_name(matched: list[Word]) -> bool:
    """Whether the words, which are those of a title, mean it: see the head of this file."""
    content = [word.folded not in FUNCTION_WORDS for word in matched]
    return sum(content) >= 2 or any(
        word.capital and (counts or not word.opens) for word, counts in zip(matched, content)
    )
