"""Claim check: every claim of a sentence is compared with a number of the evidence.

A claim is supported when

    item       the item of the history that it names is similar to the explained one
    category   the explained item has the category
    taste      all categories that it names are liked more than usual    ("you often choose …")
    likeness   it names a similar item or a liked category, and the
               explained item is what is alike                           ("… is like …")
    time       all items that it names are among the user's latest       ("you have just chosen …")
    trend      the item was chosen far more often than expected          ("… is on the rise")
    location   the item is chosen far more often at the user's location  ("… in your region")
    number     it is the number of what stands beside it                 ("34 times")
    other      never: words that praise or describe, that deny,
               and that say how many, or in which order                  ("a classic example")

The words of a claim are in the lists below. A word that is in no list and not in the evidence is a
claim of the kind `other`, together with the words beside it. The tests of the numbers are in
evidence.py and collector.py: evidence that does not pass its test supports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from llm4rec_recbole.components.explanation.context import TREND_DAYS
from llm4rec_recbole.components.explanation.evidence import Evidence
from llm4rec_recbole.components.explanation.grounding import (
    FUNCTION_WORDS,
    GroundingChecker,
    Phrase,
    Word,
    by_first_word,
    category_phrase,
    matches,
    phrase,
    singular,
    words,
)

_KINDS: dict[str, frozenset[str]] = {
    kind: frozenset(listed.split())
    for kind, listed in {
        "taste": "often taste tastes prefer preference preferences enjoy enjoyed favourite "
        "favorite love loved liked fan interest interests",
        "likeness": "like similar similarly alike close resembles reminiscent same",
        "time": "just latest lately recent recently last now moment currently",
        "trend": "rise rises rising rose trend trends trending popular popularity hit success "
        "momentum",
        "location": "near nearby local locally region city area neighbourhood zip code",
    }.items()
}
#: Words that claim nothing beside what the names and numbers around them claim.
_NEUTRAL = frozenset(
    """choose chooses chose chosen choice choices pick picks recommend recommends recommended
    recommendation recommending suggest suggested fit fits fitting match matches suit suits see try
    good reason data give item items title one times days share earlier predict predicts expected
    usual among region regions""".split()  # noqa: SIM905 (a list of these is unreadable)
)
#: Function words that deny a claim, say of how many it holds, or put it in order.
_UNSUPPORTED = frozenset(
    """not no nor never all only most more again once before after until even""".split()  # noqa: SIM905 (as above)
)
#: The kinds of claims that are reasons; the others say how the reasons are meant.
REASONS = ("item", "category", "trend", "location")


class SentenceClaim(NamedTuple):
    """What a sentence claims."""

    kind: str
    text: str  # an item's or category's name, otherwise the words
    supported: bool


def reasons_in(claims: Iterable[SentenceClaim]) -> frozenset[tuple[str, str]]:
    """What the claims give as reasons, in whatever words: items, categories, trend, location."""
    return frozenset((c.kind, c.text) for c in claims if c.kind in REASONS)


class ClaimChecker:
    """Checks the names and the claims of sentences about the items of a data set."""

    def __init__(self, titles: Iterable[str], categories: Iterable[str]) -> None:
        self.names = GroundingChecker(titles, categories)

    def problems(self, sentence: str, evidence: Evidence) -> list[str]:
        """Return why `sentence` may not be shown: names that are not in the evidence, and claims
        that the evidence does not support."""
        unsupported = [c for c in self.claims(sentence, evidence) if not c.supported]
        return self.names.problems(sentence, evidence) + [
            f"{claim.text!r} claims what the evidence does not show" for claim in unsupported
        ]

    def claims(self, sentence: str, evidence: Evidence) -> list[SentenceClaim]:
        """Return the claims of each sentence of the text `sentence`, each once."""
        text = words(sentence)
        named = _named(text, evidence)
        inside = {index for start, end, _ in named for index in range(start + 1, end)}
        starts = [n for n, word in enumerate(text) if word.starts and n not in inside]
        claims: list[SentenceClaim] = []
        for begin, end in zip([0, *starts], [*starts, len(text)]):
            names = [name for start, _, name in named if begin <= start < end]
            covered = {n for first, last, _ in named for n in range(first, last)}
            others = [None if n in covered else text[n].folded for n in range(begin, end)]
            owners = {n - begin: name for first, last, name in named for n in range(first, last)}
            claims += _claims(names, others, owners, evidence)
        return list(dict.fromkeys(claims))


_PLACE = "the place"


def _claims(
    names: list[str], others: list[str | None], owners: dict[int, str], evidence: Evidence
) -> list[SentenceClaim]:
    """The claims of one sentence, of its names and its other words, None where a name is.

    owners: the name that a word belongs to, by the word's number in the sentence.
    """
    context = evidence.context
    cited, latest = ({c.name for c in items} for items in (evidence.cited, context.latest))
    items = [name for name in names if name in cited]
    categories = [aspect for aspect in evidence.aspects if aspect.name in names]
    claims = [SentenceClaim("item", name, True) for name in items]
    claims += [SentenceClaim("category", aspect.name, True) for aspect in categories]
    supported = {
        "taste": bool(categories) and all(aspect.liked for aspect in categories),
        "likeness": (bool(items) or any(aspect.liked for aspect in categories))
        and _is_alike(others, owners, evidence),
        "time": set(items) <= latest if items else context.recent.exceeds,
        "trend": context.recent.exceeds,
        "location": context.place is not None,
    }
    for kind, listed in _KINDS.items():
        matched = [word for word in others if word in listed]
        if matched or (kind == "location" and _PLACE in names):
            text = kind if kind in REASONS else " ".join(dict.fromkeys(map(str, matched)))
            claims.append(SentenceClaim(kind, text, supported[kind]))
    numbers = {n for n, word in enumerate(others) if word is not None and word.isdigit()}
    claims += [
        SentenceClaim("number", str(others[n]), _is_number_of(n, others, owners, evidence))
        for n in sorted(numbers)
    ]
    allowed = (FUNCTION_WORDS - _UNSUPPORTED) | _NEUTRAL | {"i"} | {str(others[n]) for n in numbers}
    allowed = allowed.union(*_KINDS.values())
    if context.place is not None:
        allowed |= {"more"}  # chosen more than usual
    if not (evidence.cited or evidence.likes or context.place or context.recent.exceeds):
        allowed |= {"no"}  # the data give no reason
    for is_other, group in groupby(others, lambda word: word is not None and word not in allowed):
        if is_other:
            claims.append(SentenceClaim("other", " ".join(map(str, group)), False))
    return claims


def _is_alike(others: list[str | None], owners: dict[int, str], evidence: Evidence) -> bool:
    """Whether the explained item is what each "like" of the sentence is said of.

    That another item is like the cited ones is in no evidence.
    """
    for number, word in enumerate(others):
        if word in _KINDS["likeness"]:
            before = [owners[n] for n in range(number) if owners.get(n) in evidence.names]
            if (before and before[-1] != evidence.name) or others[number - 1] in ("are", "were"):
                return False
    return True


def _is_number_of(
    number: int, others: list[str | None], owners: dict[int, str], evidence: Evidence
) -> bool:
    """Whether the evidence has the number at `number` for the words beside it."""
    context, place = evidence.context, evidence.context.place
    before = others[number - 1] if number else ""
    after = others[number + 1] if number + 1 < len(others) else ""
    shares = {aspect.name: 100 * aspect.weight for aspect in evidence.aspects}
    beside = {owners.get(number - 1), owners.get(number + 1)} & set(shares)
    allowed: list[float] = [shares[name] for name in beside if name is not None]
    if context.recent.exceeds:
        allowed += [context.recent.count] if after == "times" else []
        allowed += [context.recent.expected] if before in ("predict", "predicts") else []
    if place is not None:
        allowed += [place.chosen.count] if after in ("times", "of") else []
        allowed += [place.chosen.expected] if before in ("predict", "predicts") else []
        allowed += [place.of] if before == "your" else []
    allowed += [TREND_DAYS] if after == "days" else []
    return others[number] in {f"{value:.0f}" for value in allowed}


def _named(text: list[Word], evidence: Evidence) -> list[tuple[int, int, str]]:
    """Return the names of the evidence that the text has, as the words start … end - 1 of it."""
    phrases: dict[Phrase, str] = {phrase(name): name for name in evidence.names}
    if evidence.context.place is not None:
        phrases.setdefault(phrase(evidence.context.place.name), _PLACE)
    categories = {category_phrase(aspect.name): aspect.name for aspect in evidence.aspects}
    singulars = [word._replace(folded=singular(word.folded)) for word in text]
    hits = [(match, phrases) for match in matches(text, by_first_word(phrases))]
    hits += [(match, categories) for match in matches(singulars, by_first_word(categories))]
    hits.sort(key=lambda hit: hit[0].start - hit[0].end)  # the longest first, titles before others
    covered: set[int] = set()
    named = []
    for match, names in hits:
        span = range(match.start, match.end)
        if covered.isdisjoint(span):
            covered.update(span)
            named.append((match.start, match.end, names[match.phrase]))
    return sorted(named)
