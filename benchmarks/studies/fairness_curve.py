"""The effect and the cost of λ_fair of Eq. (16), on ml-100k.

    python -m benchmarks.studies.fairness_curve

GenRecDebias is trained once for each λ_fair. r̂ is the log-probability of a user's next item. It is
measured on training items, on which (16) to (18) act: 943 users have about 100,000 of them. It is
also measured on held-out items, validation and test, two for each user. The parity gap is that of
(18): P(r̂ > τ | s) between the users' groups, at the τ that half of all r̂ exceed
(components/debiasing/fairness.py). Random groups have a gap too. The table has the mean gap of
shuffled groups beside it.

Writes fairness_curve.json and fairness_curve.md.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np
import torch

from benchmarks.options import add_training_options, training_options
from benchmarks.report import table
from llm4rec_recbole.components.debiasing.debiased_loss import log_likelihood
from llm4rec_recbole.components.debiasing.fairness import demographic_parity_gap, threshold_at_share
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.files import write_atomically, write_json

FAIRNESS = (0.0, 0.3, 1.0, 3.0, 10.0)
RESAMPLES = 499


def scores_of_held_out(model: Any, held_out: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability (U,) that the ranking gives to each held-out item, and its rank (U,)."""
    likely, ranks = np.empty(len(held_out)), np.empty(len(held_out))
    model.eval()
    for rows in np.array_split(np.arange(len(held_out)), -(-len(held_out) // 256)):
        scores, seen = model.score_histories(held_out, rows), held_out.seen_mask(rows)
        targets = held_out.targets[rows]
        ranks[rows] = full_ranks(scores, targets, seen)
        seen[np.arange(len(rows)), targets] = False
        free = torch.from_numpy(np.where(seen, -np.inf, scores)).log_softmax(1)
        likely[rows] = free[torch.arange(len(rows)), torch.from_numpy(targets)].numpy()
    return likely, ranks


@torch.no_grad()
def in_training(model: Any, loader: Any) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability (N,) that the model gives to each next item of the training windows, and
    whose they are (N,)."""
    model.eval()
    likely, users = [], []
    table = model.item_table()
    for batch in loader:
        batch = batch.to(model.item_bias.device)
        targets = batch[model.POS_ITEM_ID]  # (B, L)
        has_target = targets > 0
        states = model(batch[model.user_field], batch[model.ITEM_SEQ], table)[has_target]
        rows = batch["position"][has_target]
        left, right = model.debiasing.factors(states, table, rows)
        likely.append(log_likelihood(left, right, model.item_bias, targets[has_target]))
        users.append(batch[model.user_field][:, None].expand_as(targets)[has_target])
    return torch.cat(likely).cpu().numpy(), torch.cat(users).cpu().numpy()


def parity(scores: np.ndarray, groups: np.ndarray, users: np.ndarray, seed: int) -> dict[str, Any]:
    """Gap, its bootstrap interval over users, the gap by chance, and each group's mean score.

    scores, groups, users: (N,); a user may stand on several rows, in one group; -1 is unknown.
    """
    scores, groups, users = (each[groups >= 0] for each in (scores, groups, users))
    r = torch.from_numpy(scores)
    threshold = threshold_at_share(r, 0.5)

    def gap(rows: np.ndarray, of: np.ndarray) -> float:
        return float(demographic_parity_gap(r[rows], torch.from_numpy(of), threshold))

    random = np.random.default_rng(seed)
    _, first, number = np.unique(users, return_index=True, return_inverse=True)
    rows_of = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    everything = np.arange(len(scores))
    drawn, dealt = [], []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[user] for user in chosen])
        drawn.append(gap(rows, groups[rows]))
        dealt.append(gap(everything, random.permutation(groups[first])[number]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "gap": gap(everything, groups),
        "low": float(low),
        "high": float(high),
        "by_chance": float(np.mean(dealt)),
        "mean_scores": [float(scores[groups == g].mean()) for g in np.unique(groups)],
    }


def measure(
    dataset: str, fairness: list[float], groups: str | None, seed: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Train once for each λ_fair; the curve. Raises InputError without groups of users."""
    from llm4rec_recbole.training.experiment import train

    rows = []
    with tempfile.TemporaryDirectory() as place:
        given = {"checkpoint_dir": place, "seed": seed, "quiet": True, "show_progress": False}
        given |= {"fairness_groups": groups}
        for strength in fairness:
            experiment = train(
                "GenRecDebias", dataset, (), given | options | {"fairness_weight": strength}
            )
            debiasing = experiment.model.debiasing
            if not debiasing.per_user:
                raise InputError(f"{dataset} knows no groups of users")
            member = debiasing.membership.cpu().numpy()  # (n_users, G)
            phases = [experiment.data.valid.held_out, experiment.data.test.held_out]
            found = [scores_of_held_out(experiment.model, phase) for phase in phases]
            users = np.concatenate([phase.users for phase in phases])
            of_user = np.where(member.any(1), member.argmax(1), -1)
            held_out = np.concatenate([likely for likely, _ in found])
            trained_on, whose = in_training(experiment.model, experiment.data.train)
            rows.append(
                {
                    "fairness": strength,
                    "training": parity(trained_on, of_user[whose], whose, seed),
                    "held_out": parity(held_out, of_user[users], users, seed),
                    "ndcg@10": float(ndcg(found[1][1], 10).mean()),
                    "valid_ndcg@10": float(ndcg(found[0][1], 10).mean()),
                    "seconds": experiment.trained.train_seconds,
                }
            )
    return {
        "dataset": dataset,
        "seed": seed,
        "options": options,
        "groups": groups,
        "users": len(np.unique(users)),
        "group_sizes": np.bincount(of_user[np.unique(users)] + 1)[1:].tolist(),
        "curve": rows,
    }


def render(measured: dict[str, Any]) -> str:
    """The report, in Markdown."""
    given = ", ".join(f"{name} {value}" for name, value in measured["options"].items())
    sizes = ", ".join(f"{size:,}" for size in measured["group_sizes"])
    head = (
        f"{measured['dataset']}, seed {measured['seed']}, {measured['users']} users; groups by "
        f"{measured['groups'] or 'the first attribute known'}, of {sizes} users. Gap: of (18), "
        f"with a 95 % bootstrap interval over users; by chance: with the groups dealt out anew. "
        f"NDCG@10: of the test items, full ranking. Options: {given or 'the defaults'}.\n\n"
    )
    rows = [
        [
            f"{row['fairness']:g}",
            *(_gap(row[where]) for where in ("training", "held_out")),
            f"{row['valid_ndcg@10']:.4f}",
            f"{row['ndcg@10']:.4f}",
            f"{row['seconds']:.0f}",
        ]
        for row in measured["curve"]
    ]
    header = ["λ_fair", "gap in training (by chance)", "gap held out (by chance)"]
    return head + table([*header, "valid NDCG@10", "NDCG@10", "trained, s"], rows) + "\n"


def _gap(found: dict[str, Any]) -> str:
    return (
        f"{found['gap']:.3f} [{found['low']:.3f}, {found['high']:.3f}] ({found['by_chance']:.3f})"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 unless the largest λ_fair has a smaller gap than the least."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.fairness_curve", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--fairness", type=float, nargs="+", default=list(FAIRNESS), help="λ_fair")
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--groups", default="age", help="gender, age or occupation (%(default)s)")
    add_training_options(parser)
    a = parser.parse_args(arguments)
    measured = measure(a.dataset, sorted(a.fairness), a.groups, a.seed, training_options(a))
    report = render(measured)
    write_json(a.output / "fairness_curve.json", measured)
    write_atomically(a.output / "fairness_curve.md", report)
    print(report)
    gaps = [row["training"]["gap"] for row in measured["curve"]]
    return 0 if gaps[-1] < gaps[0] else 1


if __name__ == "__main__":
    raise SystemExit(main())
