"""The cells of the benchmark, data set × protocol × method × seed, and where each one's files lie.

Nothing heavy is imported here: `llm4rec status` reads all this in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError

PARAMS = Path("params.yaml")
RESULTS = Path("results")
FAILURES = Path("work/failures")
STATES = Path("work/cells")


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark. Paths are relative to the top of the checkout."""

    dataset: str
    protocol: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset} {self.protocol} {self.method} seed {self.seed}"

    @property
    def name(self) -> str:
        """The cell in a file name, as in `ml-100k.loo.SASRec.seed_0`."""
        return f"{self.dataset}.{self.protocol}.{self.method}.seed_{self.seed}"

    @property
    def record(self) -> Path:
        """The run record, which git keeps."""
        return self._under("runs", "json")

    @property
    def users(self) -> Path:
        """The users file, which DVC's cache keeps."""
        return self._under("users", "parquet")

    @property
    def failure(self) -> Path:
        """{"error": one line}, there while the cell's last run failed."""
        return FAILURES / f"{self.name}.json"

    @property
    def state(self) -> Path:
        """What the cell's runs were and took (state.py)."""
        return STATES / f"{self.name}.json"

    def _under(self, kind: str, ending: str) -> Path:
        place = RESULTS / kind / self.dataset / self.protocol / self.method
        return place / f"seed_{self.seed}.{ending}"


def read_params() -> dict[str, Any]:
    """params.yaml of the current folder. Raises InputError where there is none, or it is broken."""
    import yaml

    try:
        return yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no {PARAMS} here", hint="run this at the top of the checkout") from None
    except yaml.YAMLError as error:
        raise InputError("not YAML: " + str(error).replace("\n", " "), file=PARAMS) from error


def stages(params: dict[str, Any]) -> dict[str, Cell]:
    """The cells that `params` asks for, by the names of their stages in dvc.yaml."""
    try:
        return dict(_stages(params))
    except (KeyError, TypeError) as error:
        hint = (
            "datasets, protocols, methods.exact, .trained, .generative, .ours and seeds are lists"
        )
        raise InputError(f"{error} is missing or no list", file=PARAMS, hint=hint) from error


def _stages(params: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    methods = params["methods"]
    for stage, names, seeds in (
        ("run_exact", methods["exact"], [0]),
        ("run", methods["trained"], params["seeds"]),
        ("run_generative", methods["generative"], params["seeds"]),
        ("run_ours", methods["ours"], params["seeds"]),
    ):
        for dataset in params["datasets"]:
            for protocol in params["protocols"]:
                for method in names:
                    for seed in seeds:
                        cell = Cell(dataset, protocol, method, seed)
                        yield f"{stage}@{dataset}-{protocol}-{method}-{seed}", cell
