"""What P5 answers in words: the training interactions' ratings and reviews, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm4rec_recbole.models.reviews import training_reviews

_MOST_WORDS = 20  # of a review: what a user says first is usually the verdict


class Texts:
    """Ratings and reviews by row of the training data; a data set may lack either.

    The rating is the field `RATING_FIELD`. The review is the token sequence `REVIEW_FIELD`, if that
    is loaded, else from reviews.parquet (models/reviews.py).
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        inter = dataset.inter_feat
        rating, review = config["RATING_FIELD"], config["REVIEW_FIELD"]
        self.ratings: Any = None  # (N,)
        if rating in inter:
            self.ratings = inter[rating]
        reviews: list[str] = []
        if review in inter:
            words = dataset.field2id_token[review]
            reviews = [" ".join(words[w] for w in row if w) for row in inter[review].tolist()]
        elif written := training_reviews(config, dataset):
            reviews = written.texts
        #: (N,) first words, "" where a row has none
        self.reviews = [" ".join(text.split()[:_MOST_WORDS]) for text in reviews]

    def has(self, family: str) -> bool:
        """Whether the data have answers for `family`; those that answer with items always do."""
        if family == "rating":
            return self.ratings is not None
        return family != "explanation" or any(self.reviews)

    def of(self, family: str, row: int) -> str:
        """The rating as a number of stars, or the first words of the review, "" where there is
        none, of a training row."""
        if family == "rating":
            return f"{float(self.ratings[row]):.3g}"
        return self.reviews[row]

    def all(self) -> Iterator[str]:
        """Every text, for a vocabulary."""
        if self.ratings is not None:
            yield from (self.of("rating", row) for row in range(len(self.ratings)))
        yield from self.reviews
