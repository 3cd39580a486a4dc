"""Items' titles as token sequences, each different from all others.

- An item without a title, or with one that has no tokens, is named "item <raw token>".
- A title is cut to `max_tokens` tokens.
- Items with equal tokens get a suffix: first the year, " (1995)"; then the raw token, " #242"; then
  the item's number, " #7". A long title is cut further to make room for the suffix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicFormat
from llm4rec_recbole.data.features import read_items
from llm4rec_recbole.errors import InputError

Tokens = list[int]


def titles_of(
    path: str | Path, names: Sequence[str], file_format: AtomicFormat = DEFAULT_FORMAT
) -> tuple[list[str], list[str]]:
    """Return titles and years of the items with raw tokens `names`, "" where unknown.

    path: the data set's `.item` file; may be missing.
    """
    table = read_items(path, file_format).set_index("item_id").reindex(list(names))
    years = [
        "" if year is None else str(year)
        for year in table["year"].astype(object).where(table["year"].notna(), None)
    ]
    return table["title"].fillna("").tolist(), years


def unique_title_tokens(
    titles: Sequence[str],
    years: Sequence[str],
    names: Sequence[str],
    tokenize: Callable[[str], Tokens],
    max_tokens: int,
) -> list[Tokens]:
    """Return each item's tokens, at most `max_tokens` unless the suffix itself is longer.

    Raises InputError if two items have equal tokens even with a suffix: digits have no tokens.
    """

    def tokens_of(text: str, suffix: str = "") -> Tokens:
        ending = tokenize(suffix) if suffix else []
        return [*tokenize(" ".join(text.split()))[: max(1, max_tokens - len(ending))], *ending]

    texts = [
        title if title.strip() and tokenize(" ".join(title.split())) else f"item {name}"
        for title, name in zip(titles, names)
    ]
    sequences = [tokens_of(text) for text in texts]
    for item in _duplicates(sequences):
        if years[item]:
            sequences[item] = tokens_of(texts[item], f" ({years[item]})")
    for n_numbers in range(len(sequences) + 2):  # each pass makes at most one new pair equal
        equal = _duplicates(sequences)
        if not equal:
            return sequences
        for item in equal:
            suffix = f" #{names[item]}" + f" #{item}" * n_numbers
            sequences[item] = tokens_of(texts[item], suffix)
    first, second = (names[item] for item in equal[:2])
    raise InputError(f"the titles of items {first} and {second} have the same tokens")


def _duplicates(sequences: Sequence[Tokens]) -> list[int]:
    """Return the items whose tokens are those of another item too."""
    count = Counter(map(tuple, sequences))
    return [item for item, tokens in enumerate(sequences) if count[tuple(tokens)] > 1]
