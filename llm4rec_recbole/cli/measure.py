"""Commands that measure a trained model: `llm4rec faithfulness`, `replay`.

Both write <results_dir>/<command>/<dataset>/<protocol>/<method>/seed_<k>.json. The accuracy tables
do not read these files.

`faithfulness` explains every test user's first recommendation, as `recommend --explain` does, and
tests whether the cited items matter to the score (analysis/faithfulness.py).

`replay` ranks every held-out interaction, then lets the model learn from it, in time order. Four
update rules start from the model as training left it: frozen, plain SGD, selective updates (29-30)
and EWC (33).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from llm4rec_recbole.cli.options import add_model_options, add_results_dir_option
from llm4rec_recbole.errors import InputError


def faithfulness(argv: Sequence[str]) -> int:
    """Print and write the measurement. Raises InputError when there is no trained model."""
    parser = argparse.ArgumentParser(description="Measure how faithful explanations are.")
    add_results_dir_option(parser)
    add_model_options(parser)
    options = parser.parse_args(argv)
    from llm4rec_recbole.analysis.faithfulness import measure
    from llm4rec_recbole.files import write_json
    from llm4rec_recbole.inference import recommend

    model = recommend.restore_from_args(options)
    result = measure(model)
    path = recommend.result_file(options.results_dir, "faithfulness", model)
    write_json(path, asdict(result))
    print(recommend.describe(model))
    print(
        f"{result.users} users: the score falls by {result.drop_cited:.4g} without the cited "
        f"items, by {result.drop_popular:.4g} without as many popular others, by "
        f"{result.drop_random:.4g} without as many random others;\n"
        f"difference to the popular {result.difference_popular:.4g}, 95 % interval "
        f"[{result.low_popular:.4g}, {result.high_popular:.4g}]; to the random:\n"
        f"difference {result.difference:.4g}, "
        f"95 % interval [{result.low:.4g}, {result.high:.4g}], d {result.effect_size:.2f}, "
        f"p {max(result.p_t, 1e-300):.2g} (t), {result.p_randomization:.2g} (randomization); "
        f"above 0 for {100 * result.share_above:.0f} % of users; {result.left_out} left out"
    )
    print(f"written: {path}")
    return 0


def replay(argv: Sequence[str]) -> int:
    """Print and write the comparison. Raises InputError when there is no trained model, and for a
    model that does not learn from single events."""
    parser = argparse.ArgumentParser(description="Test, then train, on held-out interactions.")
    add_results_dir_option(parser)
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

    from llm4rec_recbole.reporting.page.model_outputs import REPLAY_COLUMNS, replay_cells

    rows = [[name, *replay_cells(rule)] for name, rule in rules.items()]
    return tabulate(rows, headers=["", *REPLAY_COLUMNS], disable_numparse=True)
