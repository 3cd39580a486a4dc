"""Items' titles as tokens that tell every item apart.

- A title without tokens, or without a title at all, is "item <raw token>".
- A title is cut after `most` tokens, however long it is.
- Items whose tokens are the same, once cut, get their year, " (1995)", and where that does not tell
  them apart their raw token, " #242". The end of a long title makes room for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

Tokens = list[int]


def titles_of(path: str | Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Titles and years of the items with raw tokens `names`, "" where they are not known.

    path: the data set's `.item` file; there need be none.
    """
    if not Path(path).is_file():
        return [""] * len(names), [""] * len(names)
    from llm4rec_recbole.data.content import read_items

    table = read_items(path).drop_duplicates("item_id").set_index("item_id").reindex(list(names))
    years = [
        "" if year is None else str(year)
        for year in table["year"].astype(object).where(table["year"].notna(), None)
    ]
    return table["title"].fillna("").tolist(), years


def title_tokens(
    titles: Sequence[str],
    years: Sequence[str],
    names: Sequence[str],
    tokenize: Callable[[str], Tokens],
    most: int,
) -> list[Tokens]:
    """Each item's tokens, at most `most` but for those that a raw token makes longer."""

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
    for shared in _shared(spelt):
        spelt[shared] = spell(texts[shared], f" #{names[shared]}")
    return spelt


def _shared(spelt: Sequence[Tokens]) -> list[int]:
    """The items whose tokens another item has too."""
    count = Counter(map(tuple, spelt))
    return [item for item, tokens in enumerate(spelt) if count[tuple(tokens)] > 1]
