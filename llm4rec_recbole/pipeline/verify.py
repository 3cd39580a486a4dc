"""`make verify`: trains some methods again and compares them with the committed records.

    python -m llm4rec_recbole.pipeline.verify

The deterministic methods and SASRec (first seed) are trained into work/verify. Metrics and every
user's ranks are compared with a committed record of the same kind: from the same
processor, with the same number of threads, and with the language model in the same precision. The
record stands in results/ or in a folder of benchmarks/results/. The numbers must be equal to the
last bit. Without such a record, the comparison is with results/ and decides nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import RESULTS, Run, read_params, run_stages
from llm4rec_recbole.files import read_json
from llm4rec_recbole.parser import Parser

WORK = Path("work/verify")
OTHER_RESULTS = Path("benchmarks/results")


@dataclass(frozen=True)
class RunComparison:
    """A new run against a committed one."""

    run: Run
    results: Path  # that hold the committed record
    same_kind: bool  # the processor, the threads and the precision are equal
    differences: list[str]

    @property
    def failed(self) -> bool:
        """Whether numbers differ that must be equal."""
        return self.same_kind and bool(self.differences)

    def __str__(self) -> str:
        outcome = "; ".join(self.differences) or "metrics and every user's ranks are equal"
        note = (
            ""
            if self.same_kind
            else " [another processor or precision: a difference is no failure]"
        )
        return f"{self.run}: {outcome}{note}, compared with {self.run.record(self.results)}"


def runs_to_verify(params: dict[str, Any]) -> list[Run]:
    """The deterministic methods, and the first seed of SASRec where params.yaml lists SASRec."""
    stages = run_stages(params)
    sasrec = [run for run in stages.values() if run.method == "SASRec"][:1]
    return [run for name, run in stages.items() if name.startswith("train_deterministic")] + sasrec


def train(run: Run, scale: str) -> None:
    """Train `run` into WORK. Raises InputError where that fails."""
    command = [sys.executable, "-m", "llm4rec_recbole.cli.run"]
    command += [f"--model={run.method}", f"--dataset={run.dataset}", f"--protocol={run.protocol}"]
    command += [f"--seed={run.seed}", f"--results_dir={WORK}"]
    command += [f"--checkpoint_dir={WORK}/checkpoints"]
    command += [f"--config_files=properties/scale/{scale}.yaml"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise InputError(f"{run}: training failed")


def compare(run: Run, new: Path, committed: Sequence[Path]) -> RunComparison:
    """Compare the run in `new` with the same run in the folder of `committed` that fits best.

    The first folder has precedence, except that a record of the same kind wins. Raises InputError
    where no folder has the run.
    """
    record = _read(run, new)
    candidates = {path: _read(run, path) for path in committed if run.record(path).is_file()}
    if not candidates:
        raise InputError("there is no such record", file=run.record(committed[0]))
    same = [path for path in candidates if _kind(candidates[path]) == _kind(record)]
    best = next(iter(same or candidates))
    differences = _metric_differences(record, candidates[best]) + _rank_differences(run, new, best)
    return RunComparison(run, best, bool(same), differences)


def _read(run: Run, results: Path) -> dict[str, Any]:
    record = read_json(run.record(results))
    try:
        record["metrics"]["test"], _kind(record)
    except (KeyError, TypeError) as error:
        raise InputError(f"not a run record: {error!r}", file=run.record(results)) from error
    return record


def _kind(record: dict[str, Any]) -> tuple[str, int, str]:
    """The processor without its number of cores, the threads, and the type of the language model.

    A record without a type is of a run in float32.
    """
    provenance = record["provenance"]
    name = str(provenance["hardware"]).rpartition(", ")[0]
    return name, provenance["threads"], provenance.get("llm_dtype") or "float32"


def _metric_differences(record: dict[str, Any], other: dict[str, Any]) -> list[str]:
    new, old = _flat(record["metrics"]), _flat(other["metrics"])
    if missing := set(new) ^ set(old):
        return [f"only one record has {', '.join(sorted(missing)[:3])}"]
    differing = [name for name in new if new[name] != old[name]]
    if not differing:
        return []
    name = "test.full.ndcg@10" if "test.full.ndcg@10" in differing else differing[0]
    return [f"{len(differing)} of {len(new)} metrics differ ({name}: {new[name]} and {old[name]})"]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = f"{prefix}{key}"
        flat |= _flat(value, f"{inner}.") if isinstance(value, dict) else {inner: value}
    return flat


def _rank_differences(run: Run, new: Path, old: Path) -> list[str]:
    from llm4rec_recbole.evaluation.users_file import RANKED, read_users

    if not run.users(old).is_file():
        return [f"no ranks to compare: {run.users(old)} is absent"]
    one, other = (
        read_users(run.users(folder), RANKED).sort_values("user", ignore_index=True)
        for folder in (new, old)
    )
    if not one[["user", "target"]].equals(other[["user", "target"]]):
        return ["other test users or targets"]
    counts = {name: int((one[name] != other[name]).sum()) for name in RANKED[2:]}
    return [f"{name} differs for {n} of {len(one)} users" for name, n in counts.items() if n]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, compare, print. Returns 1 for a difference."""
    parser = Parser(
        prog="python -m llm4rec_recbole.pipeline.verify",
        description="Train the deterministic methods and SASRec again, and compare their metrics "
        "and ranks with the committed records.",
    )
    parser.parse_args(argv)
    committed = [RESULTS, *(path.parent for path in sorted(OTHER_RESULTS.glob("*/runs")))]
    comparisons: list[RunComparison] = []
    params = read_params()
    shutil.rmtree(WORK, ignore_errors=True)
    for run in runs_to_verify(params):
        train(run, str(params.get("scale")))
        comparisons.append(compare(run, WORK, committed))
        print(comparisons[-1], flush=True)
    bitwise = sum(c.same_kind for c in comparisons)
    failed = sum(c.failed for c in comparisons)
    print(
        f"{bitwise} of {len(comparisons)} runs had a record of the same processor and precision; "
        f"{failed} of these differ"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(run_command("verify", main))
