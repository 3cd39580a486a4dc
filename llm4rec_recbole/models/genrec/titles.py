"""Items' titles as tokens that tell every item apart.

- A title without tokens, or without a title at all, is "item <raw token>".
- A title is cut after `most` tokens, however long it is.
- Items whose tokens are the same, once cut, get their year, " (1995)", and where that does not tell
  them apart their raw token, " #242", and where even that is another's title their number, " #7".
  The end of a long title makes room for it.
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
    """Titles and years of the items with raw tokens `names`, "" where unknown.

    path: the data set's `.item` file, which need not exist.
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
    most: int,
) -> list[Tokens]:
    """Each item's tokens, at most `most` but for those that a raw token makes longer.

    Raises InputError where digits have no tokens, so that nothing can tell the items apart.
    """

    def spell(text: str, suffix: str = "") -> Tokens:
        ending = tokenize(suffix) if suffix else []
        return [*tokenize(" ".join(text.split()))[: max(1, most - len(ending))], *ending]

    texts = [
        title if title.strip() and tokenize(" ".join(title.split())) else f"item {name}"
        for title, name in zip(titles, names)
    ]
    spelt = [spell(text) for text in texts]
    for shared in _shared(spelt):
        if years[shared]:
            spelt[shared] = spell(texts[shared], f" ({years[shared]})")
    for more in range(len(spelt) + 2):  # at most one more title is met by accident each time
        alike = _shared(spelt)
        if not alike:
            return spelt
        for shared in alike:
            spelt[shared] = spell(texts[shared], f" #{names[shared]}" + f" #{shared}" * more)
    first, second = (names[item] for item in alike[:2])
    raise InputError(f"the tokenizer does not tell the titles of items {first} and {second} apart")


def _shared(spelt: Sequence[Tokens]) -> list[int]:
    """The items whose tokens another item has too."""
    count = Counter(map(tuple, spelt))
    return [item for item, tokens in enumerate(spelt) if count[tuple(tokens)] > 1]
