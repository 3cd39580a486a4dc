"""`llm4rec replay`: would a trained model have done better by learning from held-out interactions?

Every held-out interaction is first ranked, then learned, in time order. Four update rules start
from the model as training left it: frozen, plain SGD, selective updates (29-30) and EWC (33).
Writes <results_dir>/replay/<dataset>/<protocol>/<method>/seed_<k>.json. The accuracy tables do not
read it: here the model learns from test items, each after it was ranked.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from llm4rec_recbole.cli.options import add_model_options
from llm4rec_recbole.errors import InputError


def main(argv: Sequence[str]) -> int:
    """Print and write the comparison. Raises InputError when there is no trained model, and for a
    model that does not learn from single events."""
    parser = argparse.ArgumentParser(description="Test, then train, on held-out interactions.")
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")
    parser.add_argument("--most", type=int, help="only the first so many events (default: all)")
    parser.add_argument(
        "--ewc",
        type=float,
        help="λ of (33) (default: 1 / (η max F), at which the parameter with the largest F returns "
        "to its old value at each update)",
    )
    add_model_options(parser)
    options = parser.parse_args(argv)
    if options.most is not None and options.most < 1:
        raise InputError(f"--most is {options.most}", hint="1 or more")
    from llm4rec_recbole.analysis.online_replay import replay_record
    from llm4rec_recbole.files import write_json
    from llm4rec_recbole.inference import recommend

    model = recommend.restore_from_args(options, adapted=False)
    record = replay_record(model, options.most, options.ewc)
    path = recommend.result_file(options.results_dir, "replay", model)
    write_json(path, record)
    print(f"{recommend.describe(model)}\n{record['events']} events of {record['users']} users\n")
    print(f"{table(record['rules'])}\n\nwritten: {path}")
    return 0


def table(rules: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table with one line for each update rule."""
    from tabulate import tabulate

    from llm4rec_recbole.reporting.page.replay import COLUMNS, cells

    rows = [[name, *cells(rule)] for name, rule in rules.items()]
    return tabulate(rows, headers=["", *COLUMNS], disable_numparse=True)
