"""The runs of the benchmark, and where each file of a run lies. No other module spells these paths.

    results/runs/<dataset>/<protocol>/<method>/seed_<k>.json      the run record
    results/users/<dataset>/<protocol>/<method>/seed_<k>.parquet  every test user's ranks
    results/explanations/…, faithfulness/…, replay/….json         what is measured of the model

Nothing heavy is imported here: `llm4rec status` needs these paths in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.yaml_files import read_yaml

PARAMS = Path("params.yaml")
RESULTS = Path("results")
FAILURES = Path("work/failures")
STATES = Path("work/runs_state")
CHECKPOINTS = Path("work/checkpoints")

#: Group of methods in params.yaml → the stage of dvc.yaml that trains its methods.
TRAIN_STAGES = {
    "deterministic": "train_deterministic",
    "baseline": "train_baseline",
    "generative": "train_generative",
    "ours": "train_ours",
    "parts": "train_parts",
    "nulls": "train_nulls",
    "sums": "train_sums",
}
#: Groups with other seeds than `seeds` of params.yaml: group → the parameter; None: seed 0 alone.
OTHER_SEEDS = {
    "deterministic": None,
    "generative": "seeds_of_generative",
    "parts": "seeds_of_parts",
}

Setting = tuple[str, str]  # data set, protocol


@dataclass(frozen=True)
class Run:
    """One run of the benchmark: data set × protocol × method × seed."""

    dataset: str
    protocol: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset} {self.protocol} {self.method} seed {self.seed}"

    @property
    def setting(self) -> Setting:
        """Data set and protocol."""
        return self.dataset, self.protocol

    @property
    def name(self) -> str:
        """The run in a file name, as in `ml-100k.loo.SASRec.seed_0`."""
        return f"{self.dataset}.{self.protocol}.{self.method}.seed_{self.seed}"

    @property
    def folder(self) -> Path:
        """The run in a path, as in `ml-100k/loo/SASRec/seed_0`."""
        return Path(self.dataset, self.protocol, self.method, f"seed_{self.seed}")

    def record(self, results: str | Path = RESULTS) -> Path:
        """The run record."""
        return self.result("runs", results)

    def users(self, results: str | Path = RESULTS) -> Path:
        """The users file."""
        return self.result("users", results)

    def result(self, kind: str, results: str | Path = RESULTS) -> Path:
        """The run's file of one kind: runs, users, explanations, faithfulness or replay."""
        suffix = ".parquet" if kind == "users" else ".json"
        return (Path(results) / kind / self.folder).with_suffix(suffix)

    @property
    def failure(self) -> Path:
        """{"error": one line}; it exists while the run's last attempt failed."""
        return FAILURES / f"{self.name}.json"

    @property
    def state(self) -> Path:
        """The lock of the run, and how long it took (pipeline/status.py)."""
        return STATES / f"{self.name}.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoint, which git does not hold."""
        return CHECKPOINTS / self.folder


def recorded_runs(
    results: str | Path = RESULTS, protocols: Sequence[str] = ("*",)
) -> dict[Path, Run]:
    """The run records in `results`, by path, sorted. Raises InputError for a bad file name."""
    top = Path(results) / "runs"
    records = [path for name in protocols for path in top.glob(f"*/{name}/*/seed_*.json")]
    return {path: run_of(path, top) for path in sorted(records)}


def run_of(path: Path, top: Path) -> Run:
    """The run whose file `path` is, below `top`. Raises InputError for a bad file name."""
    dataset, protocol, method, file = path.relative_to(top).parts
    number = file.removeprefix("seed_").split(".")[0]
    if not (number.isascii() and number.isdigit()) or file == number:
        raise InputError(f"the name must be seed_<number>{path.suffix}", file=path)
    return Run(dataset, protocol, method, int(number))


def read_params() -> dict[str, Any]:
    """The file params.yaml of the current folder. Raises InputError where it is absent or bad."""
    if not PARAMS.is_file():
        raise InputError(f"no {PARAMS} here", hint="run this at the top of the checkout")
    return read_yaml(PARAMS).values


def run_stages(params: dict[str, Any]) -> dict[str, Run]:
    """The runs that `params` lists, by the names of their stages in dvc.yaml.

    Raises InputError where a list is missing, is no list, or holds something other than names.
    """
    datasets, protocols = _names(params, "datasets"), _names(params, "protocols")
    _names(params, "seeds", int)
    stages = {}
    for group, stage in TRAIN_STAGES.items():
        key = OTHER_SEEDS.get(group, "seeds")
        seeds = [0] if key is None else _names(params, key, int)
        for parts in product(datasets, protocols, _names(params, f"methods.{group}"), seeds):
            stages[f"{stage}@{'-'.join(map(str, parts))}"] = Run(*parts)
    return stages


def _names(params: dict[str, Any], key: str, kind: type = str) -> list[Any]:
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, list) or any(type(name) is not kind for name in value):
        kind_name = "whole numbers" if kind is int else "names"
        raise InputError(f"{key} is missing, or is no list of {kind_name}", file=PARAMS)
    return value
