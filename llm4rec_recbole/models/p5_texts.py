"""What P5 answers in words: the training interactions' ratings and reviews, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MOST_WORDS = 20  # of a review: what a user says first is usually the verdict


class Texts:
    """Ratings and reviews by row of the training data; a data set may lack either.

    The rating is the field `RATING_FIELD`, the review the token sequence `REVIEW_FIELD`, if loaded.
    """

    def __init__(self, inter: Any, config: Any, dataset: Any) -> None:
        fields = {"rating": config["RATING_FIELD"], "explanation": config["REVIEW_FIELD"]}
        self.values = {name: inter[field] for name, field in fields.items() if field in inter}
        self.review_words = dataset.field2id_token.get(config["REVIEW_FIELD"])

    def has(self, family: str) -> bool:
        """Whether the data have answers for `family`; those that answer with items always do."""
        return family not in ("rating", "explanation") or family in self.values

    def of(self, family: str, row: int) -> str:
        """The rating as a number of stars, or the review's first words, of a training row."""
        value = self.values[family][row]
        if family == "rating":
            return f"{float(value):.3g}"
        words = [self.review_words[word] for word in value.tolist() if word]
        return " ".join(words[:_MOST_WORDS])

    def all(self) -> Iterator[str]:
        """Every text, for a vocabulary."""
        for family, values in self.values.items():
            for row in range(len(values)):
                yield self.of(family, row)
