"""What P5 answers in words: the training interactions' ratings and reviews, as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_WORDS = 20  # of a review: what a user says first is usually the verdict


class Texts:
    """Ratings and reviews by row of the training data; a data set may lack either.

    The rating is the field `RATING_FIELD`. The review is the token sequence `REVIEW_FIELD`, if that
    is loaded, else from reviews.parquet, which `llm4rec prepare` leaves beside the atomic files.
    """

    def __init__(self, inter: Any, config: Any, dataset: Any) -> None:
        rating, review = config["RATING_FIELD"], config["REVIEW_FIELD"]
        table = Path(config["data_path"], "reviews.parquet")
        self.ratings: Any = None  # (N,)
        if rating in inter:
            self.ratings = inter[rating]
        reviews: list[str] = []
        if review in inter:
            words = dataset.field2id_token[review]
            reviews = [" ".join(words[w] for w in row if w) for row in inter[review].tolist()]
        elif table.is_file():
            fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
            reviews = _read_reviews(
                table, *(dataset.id2token(field, inter[field].numpy()) for field in fields)
            )
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


def _read_reviews(table: Path, users: Any, items: Any) -> list[str]:
    """The review of each training interaction, of raw ids users and items (N,); "" for none.

    Those of other interactions would tell what is held out: `training_events` leaves them out.
    """
    from llm4rec_recbole.data.events import training_events

    found = training_events(table, users, items).drop_duplicates(["user_id", "item_id"])
    texts = found["text"].fillna("").where(found["text"].fillna("") != "", found["summary"])
    of_pair = dict(zip(zip(found["user_id"], found["item_id"]), texts.fillna("")))
    return [of_pair.get(pair, "") for pair in zip(users, items)]
