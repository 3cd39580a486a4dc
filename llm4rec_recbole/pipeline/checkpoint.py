"""Makes sure that a committed run has its checkpoint, which git does not hold.

    python -m llm4rec_recbole.pipeline.checkpoint COMMAND --model=M --dataset=D …

COMMAND is the training command of the run. It is executed only where work/checkpoints has no
checkpoint of the committed record, and writes its own record to work/retrained. A checkpoint fits a
record if both have the same validation metrics, or if it was trained here for that record.
Another processor may train a slightly different model; the command then says so. The first
functions read COMMAND; run_stage.py uses them too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import CHECKPOINTS, RESULTS, Run
from llm4rec_recbole.files import read_json, sha256_of, write_json
from llm4rec_recbole.option_readers import model_type
from llm4rec_recbole.pipeline.status import locked_run, recorded_scales
from llm4rec_recbole.registry import variant

RETRAINED = Path("work/retrained")
_NAMING = ("dataset", "protocol", "model", "seed", "results_dir")
MARKER = "record.json"  # beside a checkpoint: the sum of the record that it was trained for


def options_of(command: Sequence[str]) -> dict[str, str]:
    """The options --key=value of a command line."""
    return dict(re.findall(r"^--(\w+)=(.*)$", "\n".join(command), re.MULTILINE))


def run_of_options(options: dict[str, str]) -> Run:
    """The run that the options name. Raises InputError where one is missing."""
    if missing := [f"--{name}=" for name in _NAMING if name not in options]:
        raise InputError(f"the training command has no {', '.join(missing)}")
    return Run(options["dataset"], options["protocol"], options["model"], int(options["seed"]))


def refuse_smoke(options: dict[str, str]) -> None:
    """Raise InputError for a smoke run where dvc.lock lists records of another scale.

    Its numbers mean nothing, and it would replace those records.
    """
    if Path(options.get("config_files", "")).stem != "smoke" or options["results_dir"] != "results":
        return
    if others := recorded_scales() - {"smoke"}:
        message = (
            f"scale smoke would replace the records of scale {', '.join(others)} in {RESULTS}/"
        )
        raise InputError(message, hint="make smoke runs the pipeline in work/smoke")


def with_checkpoints(command: Sequence[str], run: Run) -> list[str]:
    """The command with the folder of the run's checkpoints; for a sum, also of its references'."""
    named = [f"--checkpoint_dir={run.checkpoints}"]
    if references_of(run):
        named.append(f"--reference_checkpoints={CHECKPOINTS}")
    return [*command, *named]


def references_of(run: Run) -> list[str]:
    """The methods that the run adds up; [] unless it is a sum of references."""
    model, options = variant(run.method)
    return list(options["references"]) if model == "SumOfReferences" and options else []


def finish_checkpoint(run: Run, record: Path) -> None:
    """Remove the run's earlier checkpoints, and note which record the newest one is for."""
    files = sorted(run.checkpoints.glob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    for file in files[:-1]:
        file.with_suffix(".adapted").unlink(missing_ok=True)  # the weights after adaptation
        file.unlink()
    if files:
        write_json(run.checkpoints / MARKER, {"sha256": sha256_of(record)})


def ensure(command: Sequence[str]) -> int:
    """Train unless the checkpoint is present; returns the exit status of the training.

    Raises InputError where there is no record, and for a smoke run that `refuse_smoke` refuses.
    """
    options = options_of(command)
    run = run_of_options(options)
    refuse_smoke(options)
    path, folder = run.record(options["results_dir"]), run.checkpoints
    record = _record(path)
    with locked_run(run):
        if belongs(folder, path, record):
            return 0
        print(
            f"{run}: training again, because {folder} has no checkpoint of its record", flush=True
        )
        other = f"--results_dir={RETRAINED}"
        again = [other if word.startswith("--results_dir=") else word for word in command]
        status = subprocess.run(with_checkpoints(again, run), check=False).returncode
        if status:
            return status if status > 0 else 128 - status
        finish_checkpoint(run, path)
        print(_comparison(run, record), flush=True)
    return 0


def ensure_references(command: Sequence[str]) -> int:
    """Train the references of a sum whose checkpoints are absent; returns the exit status.

    A reference without randomness has none: the sum trains it itself, in seconds.
    Raises InputError where a reference has no record.
    """
    for reference in references_of(run_of_options(options_of(command))):
        if model_type(reference) != "TRADITIONAL":
            named = [
                f"--model={reference}" if word.startswith("--model=") else word for word in command
            ]
            if status := ensure(named):
                return status
    return 0


def belongs(folder: Path, path: Path, record: dict[str, Any]) -> bool:
    """Whether the newest checkpoint in `folder` belongs to `record`, the content of `path`."""
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        return False
    try:
        if read_json(folder / MARKER) == {"sha256": sha256_of(path)}:
            return True
    except (FileNotFoundError, InputError):
        pass
    return _validation(files[-1]) == record["metrics"]["valid"]


def _validation(checkpoint: Path) -> dict[str, float] | None:
    """The validation metrics in the checkpoint; None for a file without them."""
    from llm4rec_recbole import checkpoints

    try:
        result = checkpoints.load(checkpoint).get("best_valid_result")
    except InputError:
        return None
    return {key: float(value) for key, value in result.items()} if result else None


def _record(path: Path) -> dict[str, Any]:
    try:
        record = read_json(path)
        record["metrics"]["valid"]
    except FileNotFoundError:
        raise InputError("there is no such record", file=path, hint="dvc repro") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"no validation metrics: {error!r}", file=path) from error
    return record


def _comparison(run: Run, record: dict[str, Any]) -> str:
    again = _record(run.record(RETRAINED))
    if again["metrics"] == record["metrics"]:
        return f"{run}: all metrics equal those of the committed record"
    values = [r["metrics"]["test"]["full"]["ndcg@10"] for r in (again, record)]
    processors = [r.get("provenance", {}).get("hardware") for r in (again, record)]
    return (
        f"{run}: test NDCG@10 is {values[0]:.4f} here ({processors[0]}) and {values[1]:.4f} in the "
        f"committed record ({processors[1]})"
    )


if __name__ == "__main__":
    sys.exit(run_command("checkpoint", lambda: ensure(sys.argv[1:])))
