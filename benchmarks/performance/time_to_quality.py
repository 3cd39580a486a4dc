"""CPU seconds to a validation accuracy: RecTools and this project on Beauty, in one run.

    python -m benchmarks.performance.time_to_quality --data-path dataset

SASRec and BERT4Rec, one thread each. RecTools' SASRec has the options that its authors publish for
Beauty, and a smaller one the size of ours. All train on the same interactions and are ranked on the
same validation items. Writes results/time_to_quality.json and .md after each run; those that the
file has are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RESULTS
from benchmarks.performance.processes import Workers
from benchmarks.report import number, table
from llm4rec_recbole.data.splits import Log, leave_one_out
from llm4rec_recbole.datasets.prepare import read_interactions
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.machine import processor_name

TOP = Path(__file__).resolve().parents[2]
FAST = "properties/experiment/beauty/SASRec.yaml"
OWN = "properties/experiment/beauty/BERT4Rec.yaml"
_COMMON = {"session_max_len": 50, "dropout_rate": 0.2, "lr": 1e-3, "batch_size": 128}
_SMALL = {"n_factors": 64, "n_blocks": 2, "n_heads": 2, "loss": "softmax", **_COMMON}
#: RecTools' options. The first are from its authors' benchmark, blondered/transformer_benchmark.
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SASRec, published options": (
        "SASRec",
        {"n_factors": 256, "n_blocks": 1, "n_heads": 1, "loss": "sampled_softmax"}
        | {"n_negatives": 256, **_COMMON},
    ),
    "SASRec, 64 numbers": ("SASRec", _SMALL),
    "BERT4Rec, 64 numbers": ("BERT4Rec", _SMALL),
}
#: Ours: a property file, and options beside it.
OURS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "SASRec": ("SASRec", FAST, {"epochs": 16, "eval_step": 2}),
    "BERT4Rec": ("BERT4Rec", OWN, {}),
}
NEEDED = 3  # times our CPU seconds (issue "Fast")


def main(arguments: list[str] | None = None) -> int:
    """Train what the file lacks, and write the page after each run."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.time_to_quality",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument(
        *("--cpu-seconds", "--looks"),
        type=float,
        nargs="+",
        default=[30, 60, 120, 200],
        help="of training, at which RecTools is ranked; ours ends at the last (%(default)s)",
    )
    parser.add_argument("--only", nargs="+", help="these runs only, such as 'ours, SASRec'")
    parser.add_argument("--data-path", type=Path, default=Path("dataset"))
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder to write to")
    a = parser.parse_args(arguments)
    file = a.output / "time_to_quality.json"
    measured: dict[str, Any] = {"runs": {}}
    if file.is_file():
        measured = json.loads(file.read_text())
    measured |= {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as folder:
        workers = Workers(Path(folder), threads=1)
        for name, measure in _runs(a, workers).items():
            if name in measured["runs"] or (a.only and name not in a.only):
                continue
            print(time.strftime("[%H:%M:%S] ") + name, file=sys.stderr, flush=True)
            measured["runs"][name] = measure()
            write_json(file, measured)
            write_atomically(file.with_suffix(".md"), render(measured))
    print(render(measured))
    return 0


def _runs(a: argparse.Namespace, workers: Workers) -> dict[str, Any]:
    """Each run's name, and what executes it."""
    data = workers.folder / "beauty.npz"
    write_validation(a.data_path / "beauty" / "beauty.inter", data)
    runs: dict[str, Any] = {}
    for name, (model, file, options) in OURS.items():
        runs[f"ours, {name}"] = lambda model=model, file=file, options=options: workers.ask(
            "ours",
            "ours",
            task="curve",
            model=model,
            dataset="beauty",
            data_path=str(a.data_path.resolve()),
            config_files=[str(TOP / file)],
            options=options,
            cpu_seconds=a.cpu_seconds[-1],
        )
    for name, (model, options) in PEERS.items():
        runs[f"RecTools, {name}"] = lambda model=model, options=options: workers.ask(
            "rectools",
            "rectools_peer",
            task="curve",
            model=model,
            data=str(data),
            options=options,
            looks=a.cpu_seconds,
        )
    return runs


def write_validation(inter: Path, path: Path) -> None:
    """Write what RecTools reads: `train_users`, `train_items` (N,), in exact order; `users`,
    `targets` (U,), the validation items of leave-one-out."""
    rows = read_interactions(inter)
    split = leave_one_out(Log(rows.users, rows.items, rows.times))
    np.savez(
        path,
        train_users=rows.users[split.train],
        train_items=rows.items[split.train],
        users=split.valid.users,
        targets=split.valid.targets,
    )


def seconds_to(curve: list[dict[str, float]], valid: float) -> float | None:
    """The CPU seconds at which a curve first reaches `valid`; None when it does not."""
    return next((point["cpu_seconds"] for point in curve if point["valid"] >= valid), None)


def comparison(peer: list[dict[str, float]], ours: list[dict[str, float]]) -> list[str]:
    """The lower of the two best values measured, both curves' seconds to it, their ratio; a bound.

    The bound holds however long RecTools trains on. Where its best value is below ours when it is
    stopped, a later best value costs RecTools more than the seconds until then, and ours no more
    than our best value.
    """
    best_peer, best_ours = (max(point["valid"] for point in curve) for curve in (peer, ours))
    lower = min(best_peer, best_ours)
    own, other = seconds_to(ours, lower), seconds_to(peer, lower)
    own_best = seconds_to(ours, best_ours)
    assert own  # the lower value is on both curves
    assert other
    assert own_best
    bound = peer[-1]["cpu_seconds"] / own_best if best_peer < best_ours else other / own
    verdict = "yes" if bound >= NEEDED else "not shown"
    seconds = [number(other), number(own), f"{other / own:.1f} ×"]
    return [f"{lower:.4f}", *seconds, f"{bound:.1f} ×: {verdict}"]


def render(measured: dict[str, Any]) -> str:
    """The page: every curve, and each peer beside ours."""
    runs = measured["runs"]
    points = [
        [name, number(point["cpu_seconds"]), _progress(run, point), f"{point['valid']:.4f}"]
        for name, run in runs.items()
        for point in run["curve"]
    ]
    pairs = []
    for name, (model, _) in PEERS.items():
        peer, ours = (runs.get(key) for key in (f"RecTools, {name}", f"ours, {model}"))
        if peer and ours:
            pairs.append([name, *comparison(peer["curve"], ours["curve"])])
    versions = {name: run["versions"] for name, run in runs.items()}
    packages = "; ".join(
        f"{name}: {', '.join(f'{package} {number}' for package, number in found.items())}"
        for name, found in {who.split(",")[0]: found for who, found in versions.items()}.items()
    )
    return "\n\n".join(
        [
            "# Time to a validation accuracy",
            f"`python -m benchmarks.performance.time_to_quality`, {measured['date']}: "
            f"{measured['machine']}, one thread, load average {measured['load']:.1f} before the "
            f"start. {packages}.",
            "Beauty, NDCG@10 of the validation items of leave-one-out, all unseen items ranked; "
            "seed 0. CPU seconds count from before the model is made, those of ours also reading "
            "the data and the validations. Each run of RecTools was stopped after its last value, "
            "our BERT4Rec after 20 epochs.",
            "## To the lower of the two best values",
            "*At least* is the ratio that holds however long RecTools trains on. Where RecTools is "
            "stopped below our best value, that is its CPU seconds over ours to our best value.",
            table(
                ["RecTools' model", "NDCG@10", "RecTools, CPU s", "ours, CPU s", "ratio",
                 f"at least; {NEEDED} × needed"],
                pairs,
            ),
            "## Curves",
            table(["run", "CPU s", "epochs", "valid NDCG@10"], points),
        ]
    ) + "\n"  # fmt: skip


def _progress(run: dict[str, Any], point: dict[str, float]) -> str:
    if "epoch" in point:
        return f"{point['epoch']}"
    return f"{point['steps'] / run['steps_per_epoch']:.2f}"


if __name__ == "__main__":
    sys.exit(main())
