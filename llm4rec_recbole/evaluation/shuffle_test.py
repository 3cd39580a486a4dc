"""The shuffle test's results: accuracy from histories in order and in random order.

`python -m benchmarks.studies.order_matters` writes them; the note below Table I reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import read_json

FILE = "order.json"


@dataclass(frozen=True)
class ShuffleTest:
    """NDCG@10 of one trained model on the test items, full ranking."""

    dataset: str
    protocol: str
    method: str
    users: int
    ordered: float
    shuffled: float  # mean over the random orders
    low: float  # 95 % interval of the difference, over users
    high: float
    shuffles: int  # random orders

    @property
    def key(self) -> tuple[str, str, str]:
        """What was measured."""
        return self.dataset, self.protocol, self.method


def read_tests(path: Path) -> list[ShuffleTest]:
    """Return the tests in a file; none where it is absent. Raises InputError for a bad file."""
    try:
        rows = read_json(path)
    except FileNotFoundError:
        return []
    try:
        return [ShuffleTest(**row) for row in rows]
    except TypeError as error:
        hint = "python -m benchmarks.studies.order_matters"
        raise InputError("not results of the shuffle test", file=path, hint=hint) from error
