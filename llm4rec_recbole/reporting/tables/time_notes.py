"""The note below Table I about time: what a protocol does to its order, and whether order matters.

The shares come from the summaries of the data sets, results/data/<data set>.json (data/
interactions.py), the differences from the shuffle test, results/order.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.records import FILE, ShuffleTest, finite_number, read_tests
from llm4rec_recbole.files import read_json


def time_note(results: Path, dataset: str, protocol: str) -> str:
    """Return the sentences of one data set and protocol; "" where nothing is known.

    Raises InputError for a bad file.
    """
    shares = _time_order(results / "data" / f"{dataset}.json", protocol)
    tests = [
        test
        for test in read_tests(results / FILE)
        if (test.dataset, test.protocol) == (dataset, protocol)
    ]
    sentences = [*_of_shares(shares), *map(_of_test, tests)]
    return f"{dataset}, {protocol}: {' '.join(sentences)}" if sentences else ""


def _time_order(path: Path, protocol: str) -> dict[str, float]:
    """The shares in a data set's summary; none in an older summary and without times."""
    try:
        summary: Any = read_json(path)
    except FileNotFoundError:
        return {}
    try:
        shares = summary[protocol].get("time_order", {})
        return {name: finite_number(value, name, path) for name, value in shares.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"no summary of the protocol {protocol}", file=path) from error


def _of_shares(shares: dict[str, float]) -> list[str]:
    if not shares:
        return []
    return [
        f"{_percent(shares['train_later_than_test'])} of the training interactions are later than "
        "the test item (mean over users).",
        f"{_percent(shares['test_within_an_hour'])} of the test items come within an hour of the "
        f"item before, {_percent(shares['test_at_last_time'])} at the same time.",
    ]


def _of_test(test: ShuffleTest) -> str:
    return (
        f"With histories in random order {test.method} has NDCG@10 {test.shuffled:.3f} in place "
        f"of {test.ordered:.3f}, {test.shuffled - test.ordered:+.3f} "
        f"[{-test.high:+.3f}, {-test.low:+.3f}]."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
