"""Writes results/metrics/: a few numbers a method, for `dvc metrics` and `dvc exp show`.

    python -m llm4rec_recbole.pipeline.dvc_metrics

A run record holds some forty values, and DVC would show every one as a column. These are the two
that the tables rank by: full ranking, mean over the seeds.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import RESULTS
from llm4rec_recbole.files import write_json

SHOWN = ("hit@10", "ndcg@10")


def write() -> int:
    """Write results/metrics/<dataset>.<protocol>.<method>.json; returns how many.

    Raises InputError for a record that holds no such numbers.
    """
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path in sorted((RESULTS / "runs").glob("*/*/*/seed_*.json")):
        dataset, protocol, method = path.parts[-4:-1]
        if protocol != "recbole":  # that one has RecBole's own metrics, on RecBole's own split
            runs[f"{dataset}.{protocol}.{method}"].append(_shown(path))
    (RESULTS / "metrics").mkdir(parents=True, exist_ok=True)  # also without a run, for DVC
    for name, values in runs.items():
        means = {key: round(sum(v[key] for v in values) / len(values), 6) for key in SHOWN}
        write_json(RESULTS / "metrics" / f"{name}.json", means | {"seeds": len(values)})
    return len(runs)


def _shown(path: Path) -> dict[str, float]:
    try:
        full = json.loads(path.read_bytes())["metrics"]["test"]["full"]
        return {key: float(full[key]) for key in SHOWN}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"no test metrics of the full ranking: {error!r}", file=path) from error


def main() -> int:
    """Write the files; returns the exit code, 2 for a bad record."""
    try:
        print(f"{write()} methods in {RESULTS / 'metrics'}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
