"""P5's prompts: task families, each with templates that train and one kept unseen for evaluation.

A template is words and fields: "{user} has rated {history} . What comes next ?". A prompt is the
tokens of the words with the fields filled in: {user} is one token, {item} an item's code, {history}
the codes one after another (no code begins another, so nothing need stand between them).

Families and templates follow P5 (Geng et al., RecSys 2022) and OpenP5 (Xu et al., SIGIR 2024) in
kind, not in wording. Answers: an item's code (sequential, direct), a number of stars (rating), a
review's first words (explanation).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llm4rec_recbole.components.retrieval.reviews import training_reviews
from llm4rec_recbole.errors import InputError


@dataclass(frozen=True)
class Family:
    """A task: templates that it trains with, and one that it never trains with."""

    seen: tuple[str, ...]
    unseen: str


FAMILIES = {
    "sequential": Family(
        (
            "{user} has interacted with {history} . What comes next ?",
            "Here is the history of {user} : {history} . Recommend the next item .",
            "After {history} , which item will {user} choose ?",
        ),
        "What would {user} take after {history} ?",
    ),
    "direct": Family(
        (
            "What should we recommend to {user} ?",
            "Choose an item for {user} .",
            "Which item will {user} like ?",
        ),
        "Recommend an item to {user} .",
    ),
    "rating": Family(
        (
            "Which rating will {user} give {item} ?",
            "How will {user} rate {item} ?",
            "{user} rates {item} with how many stars ?",
        ),
        "What will {user} think of {item} ?",
    ),
    "explanation": Family(
        (
            "Explain to {user} why {item} suits .",
            "What would {user} write about {item} ?",
            "Write the review of {item} by {user} .",
        ),
        "Give a review of {item} for {user} .",
    ),
}

Part = str | list[int]  # a field's name, or the tokens of words


class Words:
    """A vocabulary of whole words: those of the templates, and the texts' that occur twice."""

    pad, end, unknown = 0, 1, 2
    name = None  # no pretrained model

    def __init__(self, texts: Iterable[str] = ()) -> None:
        known = Counter(word for text in texts for word in _split(text))
        often = sorted(word for word, count in known.items() if count > 1)
        templates = [t for f in FAMILIES.values() for t in (*f.seen, f.unseen)]
        words = dict.fromkeys(
            word for text in templates for word in _split(re.sub(r"\{\w+\}", " ", text))
        )
        self.words = ["<pad>", "</s>", "<unk>", *dict.fromkeys([*words, *often])]
        self.number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text's words; 2 for a word that is not known."""
        return [self.number.get(word, self.unknown) for word in _split(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token numbers."""
        return " ".join(self.words[token] for token in tokens)


class TokenizerWords:
    """A pretrained model's own tokenizer. Raises InputError when it cannot pad or end a text."""

    def __init__(self, tokenizer: Any, name: str, n_tokens: int) -> None:
        for role in ("pad", "eos"):
            if getattr(tokenizer, f"{role}_token_id") is None:
                raise InputError(f"the tokenizer of {name!r} has no {role} token")
        self.tokenizer, self.name, self.n_tokens = tokenizer, name, n_tokens
        self.pad, self.end = tokenizer.pad_token_id, tokenizer.eos_token_id

    def __len__(self) -> int:
        return self.n_tokens

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(list(tokens))


def parse(template: str, words: Any) -> list[Part]:
    """A template's parts in order: fields' names, and the tokens of the words between them."""
    parts: list[Part] = []
    for text, field in re.findall(r"([^{]+)|\{(\w+)\}", template):
        parts.append(field or words.encode(text.strip()))
    return parts


def fill(parts: Sequence[Part], **fields: Sequence[int]) -> list[int]:
    """The prompt's tokens: `parts` with each field's tokens in its place."""
    prompt: list[int] = []
    for part in parts:
        prompt.extend(fields[part] if isinstance(part, str) else part)
    return prompt


def _split(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.']\w+)*|[^\w\s]", text.lower())


# What P5 answers in words: the training interactions' ratings and reviews, as text.


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
