"""Does the order of a user's history matter? The shuffle test.

    python -m benchmarks.studies.order_matters
    python -m benchmarks.studies.order_matters --datasets ml-1m --protocols loo --methods SASRec

Trains each method once, as `run_recbole` does. Then it ranks the test items from the histories as
they are, and from the same histories in random orders. A method, a data set and a split for which
the difference is zero do not test a sequential model. Rows of other settings stay in the file, so
a table may come from several commands. Writes order.json and order.md; with `--results
results/data` the note below Table I has the difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RESULTS
from benchmarks.report import table
from llm4rec_recbole.analysis.significance import bootstrap_interval
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.ranking import rank_held_out
from llm4rec_recbole.evaluation.record_reader import SHUFFLE_TESTS, ShuffleTest, read_tests
from llm4rec_recbole.files import write_atomically, write_json


def shuffled(held_out: HeldOut, seed: int) -> HeldOut:
    """Return the rows with the items of each history in random order; the times stay."""
    random = np.random.default_rng(seed)
    row = np.repeat(np.arange(len(held_out)), np.diff(held_out.indptr))
    order = np.lexsort((random.random(len(row)), row))  # within each history
    whole = held_out.subset(np.arange(len(held_out)))  # with arrays of its own
    return replace(whole, items=held_out.items[order])


def measure(method: str, dataset: str, protocol: str, shuffles: int, given: Any) -> ShuffleTest:
    """Train `method`, and rank the test items from ordered and from shuffled histories."""
    from llm4rec_recbole.training.experiment import train

    options = {"protocol": protocol, "quiet": True, "show_progress": False, "num_threads": 1}
    trained = train(method, dataset, options=options | given, save=False)
    test = trained.data.test

    def ndcg_of(held_out: HeldOut) -> np.ndarray:
        score = scorer(trained.model, trained.config, held_out, test.dataset)
        ranks = rank_held_out(score, held_out, batch_size=test.batch_size, top=0).rank_full
        return ndcg(ranks, 10)

    ordered = ndcg_of(test.held_out)
    random = np.mean([ndcg_of(shuffled(test.held_out, n)) for n in range(shuffles)], axis=0)
    low, high = bootstrap_interval((ordered - random)[:, None])
    return ShuffleTest(
        dataset, protocol, method, len(ordered), float(ordered.mean()), float(random.mean()),
        float(low[0]), float(high[0]), shuffles,
    )  # fmt: skip


def render(tests: Iterable[ShuffleTest]) -> str:
    """The table, with the difference and its 95 % interval over users."""
    rows = [
        [
            f"{test.dataset}, {test.protocol}",
            test.method,
            str(test.users),
            f"{test.ordered:.4f}",
            f"{test.shuffled:.4f}",
            f"{test.ordered - test.shuffled:+.4f} [{test.low:+.4f}, {test.high:+.4f}]",
        ]
        for test in tests
    ]
    header = ["data set, protocol", "method", "users", "in order", "shuffled", "difference"]
    return (
        "NDCG@10 of the test items, full ranking, from histories in order and in random order "
        "(the mean of several orders). The model is the same. 95 % bootstrap interval over users.\n"
        f"\n{table(header, rows)}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, then write the file and the table."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.order_matters", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--datasets", nargs="+", default=["ml-100k"])
    parser.add_argument("--protocols", nargs="+", default=["loo", "temporal"])
    parser.add_argument("--methods", nargs="+", default=["RecencyEASE"])
    parser.add_argument("--shuffles", type=int, default=5, help="random orders (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the two files")
    parser.add_argument("--options", nargs="+", default=[], metavar="KEY=VALUE")
    a = parser.parse_args(arguments)
    import yaml

    given = {key: yaml.safe_load(value) for key, _, value in (o.partition("=") for o in a.options)}
    tests = {test.key: test for test in read_tests(a.results / SHUFFLE_TESTS)}
    for dataset in a.datasets:
        for protocol in a.protocols:
            for method in a.methods:
                test = measure(method, dataset, protocol, a.shuffles, given)
                tests[test.key] = test
    ordered = [tests[key] for key in sorted(tests)]
    write_json(a.results / SHUFFLE_TESTS, [asdict(test) for test in ordered])
    text = render(ordered)
    write_atomically((a.results / SHUFFLE_TESTS).with_suffix(".md"), text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
