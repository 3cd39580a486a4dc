"""RecBole's table of interactions, with columns that are made when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from recbole.data.interaction import Interaction
from torch import Tensor


class LazyInteraction(Interaction):
    """An Interaction of `length` rows: of each column there is the tensor, or what returns it."""

    def __init__(self, columns: dict[str, Callable[[], Tensor]], length: int) -> None:
        self.interaction = _LazyColumns(columns)
        self.length = length


class _LazyColumns(MutableMapping[str, Any]):
    """Tensors by name; the first reading makes a tensor, and later ones return the same."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> Any:
        column = self._columns[name]
        if not isinstance(column, Tensor):
            column = self._columns[name] = column()
        return column

    def __setitem__(self, name: str, column: Any) -> None:
        self._columns[name] = column

    def __delitem__(self, name: str) -> None:
        del self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
