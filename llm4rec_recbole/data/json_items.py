"""Items as JSON lines: one row for each new id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.data.raw_log import BAD_ID, is_id
from llm4rec_recbole.data.tally import Tally

if TYPE_CHECKING:
    import pandas as pd

_PRICE = re.compile(r"\$? ?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)")


def table(
    rows: Iterable[tuple[int, dict[str, Any]]],
    tally: Tally,
    id_field: str,
    id_column: str,
    content: Callable[[dict[str, Any]], dict[str, Any]],
) -> pd.DataFrame:
    """A row for each object with a new id in `id_field`: the id, and what `content` makes of it.

    `tally` counts the objects without an id and those whose id came before.
    """
    import pandas as pd

    kept: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        tally.read += 1
        token = row.get(id_field)
        if not is_id(token):
            tally.drop(BAD_ID, line)
        elif token in kept:
            tally.drop("an id that came before", line)
        else:
            kept[token] = {id_column: token, **content(row)}
    return pd.DataFrame(list(kept.values()), columns=None if kept else [id_column])


def price_of(value: Any) -> float | None:
    """A price as a number, from a number or a text such as "$1,299.00"; None for any other."""
    if isinstance(value, str):
        match = _PRICE.fullmatch(value.strip())
        value = float(match[1].replace(",", "")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None
