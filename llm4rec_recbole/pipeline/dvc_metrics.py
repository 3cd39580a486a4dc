"""Writes results/metrics/: a few numbers for each method, for `dvc metrics` and `dvc exp show`.

    python -m llm4rec_recbole.pipeline.dvc_metrics

A run record holds some forty values, and DVC would show each of them as a column. These files hold
the two values that the tables rank by: full ranking, mean over the seeds.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import RESULTS, recorded_runs
from llm4rec_recbole.files import read_json, write_json

METRICS = ("hit@10", "ndcg@10")
FOLDER = RESULTS / "metrics"


def write() -> int:
    """Write results/metrics/<dataset>.<protocol>.<method>.json; returns the number of files.

    Raises InputError for a record that holds no such numbers.
    """
    values: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path, run in recorded_runs().items():
        if run.protocol != "recbole":  # its metrics are RecBole's own, on RecBole's own split
            values[f"{run.dataset}.{run.protocol}.{run.method}"].append(_values(path))
    FOLDER.mkdir(parents=True, exist_ok=True)  # also without a run, for DVC
    for name, runs in values.items():
        means = {key: round(sum(v[key] for v in runs) / len(runs), 6) for key in METRICS}
        write_json(FOLDER / f"{name}.json", means | {"seeds": len(runs)})
    return len(values)


def _values(path: Path) -> dict[str, float]:
    record: Any = read_json(path)
    try:
        full = record["metrics"]["test"]["full"]
        return {key: float(full[key]) for key in METRICS}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"no test metrics of the full ranking: {error!r}", file=path) from error


if __name__ == "__main__":
    sys.exit(run_command("dvc_metrics", lambda: print(f"{write()} methods in {FOLDER}")))
