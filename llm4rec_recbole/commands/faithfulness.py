"""`llm4rec faithfulness --model M`: do the explanations cite what the model goes by?

Every test user's first recommendation is explained, as `recommend --explain` would; what is
measured stands in analysis/faithfulness.py. Writes
<results_dir>/faithfulness/<dataset>/<protocol>/<method>/seed_<k>.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.faithfulness import Faithfulness, Score, faithfulness
from llm4rec_recbole.commands import trained
from llm4rec_recbole.evaluation.held_out import HeldOut
from llm4rec_recbole.evaluation.ranking import rank_held_out
from llm4rec_recbole.files import write_json
from llm4rec_recbole.training.restore import Restored
from llm4rec_recbole.training.scoring import scorer


def main(argv: Sequence[str]) -> int:
    """Print and write the measurement. Raises InputError when there is no trained model."""
    parser = argparse.ArgumentParser(description="Measure how faithful explanations are.")
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")
    trained.add_model_options(parser)
    options = parser.parse_args(argv)
    model = trained.restored(options)
    found = measure(model)
    config = model.config
    place = Path(config["dataset"], config["protocol"], model.method, f"seed_{config['seed']}")
    path = Path(options.results_dir, "faithfulness", place).with_suffix(".json")
    write_json(path, asdict(found))
    print(trained.about(model))
    print(
        f"{found.users} users: without the cited items the score falls by {found.drop_cited:.4g}, "
        f"without as many others by {found.drop_random:.4g};\ndifference {found.difference:.4g}, "
        f"95 % interval [{found.low:.4g}, {found.high:.4g}], d {found.effect_size:.2f}, "
        f"p {max(found.p_t, 1e-300):.2g} (t), {found.p_randomization:.2g} (randomization); "
        f"above 0 for {100 * found.share_above:.0f} % of users; {found.left_out} left out"
    )
    print(f"written: {path}")
    return 0


def measure(model: Restored) -> Faithfulness:
    """Explain each test user's first recommendation and measure what citing is worth."""
    test, config = model.test, model.config
    gatherer = trained.Explainer(model).gatherer
    none = np.zeros((len(test), 1), dtype=np.int64)
    score = scorer(model.model, config, test, model.dataset)
    top = rank_held_out(score, test, none, none, config["eval_users_per_batch"]).top_100[:, 0]
    histories = [
        model.read_of(test.items[start:stop]) for start, stop in zip(test.indptr, test.indptr[1:])
    ]
    cited = [gatherer.cited(history, item) for history, item in zip(histories, top.tolist())]
    return faithfulness(score_of(model, top), histories, cited)


def score_of(model: Restored, items: np.ndarray) -> Score:
    """The model's score of items[u] (U,) for the test's user u, from any part of the history."""
    test, batch = model.test, int(model.config["eval_users_per_batch"])

    def score(users: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        held_out = shortened(test, users, histories)
        of_rows = scorer(model.model, model.config, held_out, model.dataset)
        parts = []
        for start in range(0, len(users), batch):
            rows = np.arange(start, min(start + batch, len(users)))
            parts.append(of_rows(rows)[np.arange(len(rows)), items[users[rows]]])
        return np.concatenate(parts).astype(np.float64)

    return score


def shortened(held_out: HeldOut, rows: np.ndarray, histories: list[np.ndarray]) -> HeldOut:
    """The rows (B,) with nothing left of each history but the items in `histories`."""
    items, times = [], []
    for row, history in zip(rows, histories):
        span = slice(held_out.indptr[row], held_out.indptr[row + 1])
        stays = np.isin(held_out.items[span], history)
        items.append(held_out.items[span][stays])
        times.append(held_out.times[span][stays])
    return HeldOut(
        users=held_out.users[rows],
        targets=held_out.targets[rows],
        indptr=np.concatenate([[0], np.cumsum([len(each) for each in items])]),
        items=np.concatenate(items),
        times=np.concatenate(times),
        n_items=held_out.n_items,
    )
