"""What an item's text is: its title and year, its categories, its description.

    Toy Story (1995). Animation, Children's, Comedy.

What the table does not say is left out, so that without titles (a degraded mode: `encode` tells of
it) a text is categories and year alone, and items that share them share a vector. Categories that
are numbers, as S3-Rec published them, mean nothing to a reader and are left out. An item of which
the table says nothing has the text "" and, later, no text modality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def item_texts(items: pd.DataFrame) -> list[str]:
    """One text for each row of the table that data/content.py describes. Columns `title`, `year`,
    `categories` and `description` may each be missing, and any cell of them empty."""
    import pandas as pd

    nothing = pd.Series([None] * len(items), index=items.index, dtype=object)
    columns = (items.get(name, nothing) for name in ("title", "year", "categories", "description"))
    return [_text(*cells) for cells in zip(*columns)]


def _text(title: object, year: Any, categories: Any, description: object) -> str:
    import pandas as pd

    name = _words(title)
    if not pd.isna(year):
        name = f"{name} ({int(year)})" if name else str(int(year))
    names = [] if categories is None else categories
    kinds = ", ".join(category for category in names if not category.isdigit())
    return " ".join(f"{part}." for part in (name, kinds, _words(description).rstrip(".")) if part)


def _words(cell: object) -> str:
    """The cell on one line, "" where it is no text (None, NaN)."""
    return " ".join(cell.split()) if isinstance(cell, str) else ""
