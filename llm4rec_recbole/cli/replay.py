"""`llm4rec replay`: would a trained model have done better, had it learned from what was held out?

Test, then train: every held-out interaction is ranked first and learned from then, in time order,
by four methods that start from the same model, as training left it: frozen, plain SGD, selective
updates (29-30) and EWC (33). Writes
<results_dir>/replay/<dataset>/<protocol>/<method>/seed_<k>.json. No table of accuracies reads it:
the test items are learned from here, though none before it was ranked.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.cli.options import add_model_options
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    import torch

    from llm4rec_recbole.inference.restore import TrainedModel


def main(argv: Sequence[str]) -> int:
    """Print and write the comparison. Raises InputError when there is no trained model, or when it
    does not learn from single events."""
    parser = argparse.ArgumentParser(description="Test, then train, on what was held out.")
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")
    parser.add_argument("--most", type=int, help="only so many events, the first (default: all)")
    parser.add_argument(
        "--ewc",
        type=float,
        help="λ of (33) (default: 1 / (η max F): the parameter that old data determine most "
        "goes back all the way at each update, others in proportion)",
    )
    add_model_options(parser)
    options = parser.parse_args(argv)
    if options.most is not None and options.most < 1:
        raise InputError(f"--most is {options.most}", hint="1 or more")
    from llm4rec_recbole.files import write_json
    from llm4rec_recbole.inference import recommend

    model = recommend.restore_from_args(options, adapted=False)
    record = replay_record(model, options.most, options.ewc)
    path = recommend.result_file(options.results_dir, "replay", model)
    write_json(path, record)
    print(f"{recommend.describe(model)}\n{record['events']} events of {record['users']} users\n")
    print(f"{table(record['ways'])}\n\nwritten: {path}")
    return 0


def replay_record(
    model: TrainedModel, most: int | None = None, ewc: float | None = None
) -> dict[str, Any]:
    """The record; `model` as training left it. Changes the model."""
    import copy

    import numpy as np
    import torch

    from llm4rec_recbole.analysis.online_replay import (
        HeldOutTask,
        compare_to_frozen,
        held_out_stream,
        last_training_items,
    )
    from llm4rec_recbole.components.adaptation.adapter import fisher_information
    from llm4rec_recbole.components.adaptation.prequential import compare, standard_methods
    from llm4rec_recbole.evaluation.record import hardware
    from llm4rec_recbole.files import sha256_of
    from llm4rec_recbole.inference.adaptation_session import require_adaptive

    require_adaptive(model)
    settings = model.model.adaptation
    model.model.fix_content()
    importance = fisher_information(model.model, model.valid)
    strength = max_stable_ewc_strength(settings.rate, importance) if ewc is None else ewc
    methods = standard_methods(settings, ewc=strength)
    weights, old = copy.deepcopy(model.model.state_dict()), last_training_items(model.valid)
    moments = held_out_stream(model)[:most]
    replays = compare(lambda: HeldOutTask(model, weights, old), moments, methods, importance)
    users = np.array([moment.step.user for moment in moments])
    ways = compare_to_frozen(replays, users)
    config = model.config
    return {
        "dataset": config["dataset"],
        "protocol": config["protocol"],
        "method": model.method,
        "seed": config["seed"],
        "metric": "ndcg@10, full ranking",
        "events": len(moments),
        "users": len(np.unique(users)),
        "old_users": len(old),
        "settings": {name: each and asdict(each) for name, each in methods.items()},
        "ways": {name: asdict(way) for name, way in ways.items()},
        "checkpoint_sha256": sha256_of(model.path),
        "hardware": hardware(config["device"]),
        "threads": torch.get_num_threads(),
    }


def max_stable_ewc_strength(rate: float, importance: Mapping[str, torch.Tensor]) -> float:
    """λ of (33) with λ η max F = 1; 0 where F is 0 all over. Above 2 an update overshoots."""
    largest = max((float(each.max()) for each in importance.values()), default=0.0)
    return 1 / (rate * largest) if largest else 0.0


def table(ways: Mapping[str, Mapping[str, float]]) -> str:
    """One line for each way of learning."""
    from tabulate import tabulate

    from llm4rec_recbole.analysis.online_replay import COLUMNS, UpdateRule, render

    rows = [[name, *render(UpdateRule(**way))] for name, way in ways.items()]
    return tabulate(rows, headers=["", *COLUMNS], disable_numparse=True)
