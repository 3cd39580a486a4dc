"""How varied explanations are, and how much of what they claim is supported by evidence.

    distinct-n        different n-grams of words / all n-grams (Li et al., NAACL 2016)
    repetition rate   share of the sentences that give a reason that another item of the same user's
                      list has too: the same items, categories, trend and location
    template rate     share of the sentences that the template wrote
    supported         share of the claims that the evidence supports (explanation/claims.py)

distinct-n falls with the number of sentences, so it is compared over the same recommendations.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REASONS = ("item", "category", "trend", "location")  # as in explanation/claims.py
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class SentenceQuality:
    """See the head of this file; shares are NaN where there is nothing to count."""

    sentences: int
    distinct_1: float
    distinct_2: float
    repeated: float
    by_template: float
    claims: int
    supported: float


def distinct_n(sentences: Sequence[str], n: int) -> float:
    """Different n-grams of folded words as a share of all n-grams of the sentences."""
    grams: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        words = _WORD.findall(sentence.casefold())
        grams.update(zip(*(words[start:] for start in range(n))))
    return _share(len(grams), grams.total())


def quality(entries: Sequence[Mapping[str, Any]]) -> dict[str, SentenceQuality]:
    """The quality of the sentences that are shown, and of the language model's own.

    entries: as `llm4rec showcase` writes them. Without a language model there is no second value.
    """
    shown_rows = [(e["user"], e["sentence"], e["claims"], e["written_by"]) for e in entries]
    model_rows = [
        (e["user"], e["refused"], e["refused_claims"], "") if e["refused"] else shown_rows[number]
        for number, e in enumerate(entries)
        if e["refused"] or e["written_by"] != "template"
    ]
    rows = {"shown": _quality(shown_rows)}
    return rows | ({"the language model's own": _quality(model_rows)} if model_rows else {})


def _quality(rows: Sequence[tuple[str, str, Sequence[Sequence[Any]], str]]) -> SentenceQuality:
    """rows: user, sentence, its claims (kind, text, supported), and its writer."""
    reasons = [
        (user, frozenset((kind, text) for kind, text, _ in claims if kind in REASONS))
        for user, _, claims, _ in rows
    ]
    repeats = Counter(reasons)
    sentences = [sentence for _, sentence, _, _ in rows]
    supported = [claim[2] for _, _, claims, _ in rows for claim in claims]
    return SentenceQuality(
        sentences=len(rows),
        distinct_1=distinct_n(sentences, 1),
        distinct_2=distinct_n(sentences, 2),
        repeated=_share(sum(repeats[reason] > 1 for reason in reasons), len(rows)),
        by_template=_share(sum(writer == "template" for *_, writer in rows), len(rows)),
        claims=len(supported),
        supported=_share(sum(supported), len(supported)),
    )


def _share(count: int, total: int) -> float:
    return count / total if total else float("nan")
