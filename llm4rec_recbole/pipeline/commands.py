"""The command of a run as the stages start it: its options, its run, where its checkpoint lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.paths import CHECKPOINTS, RESULTS, Run
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.pipeline.status import recorded_scales
from llm4rec_recbole.registry import variant

MARKER = "record.json"  # beside a checkpoint: the sum of the record that it was trained for


def options_of(command: Sequence[str]) -> dict[str, str]:
    """The options --key=value of a command line."""
    return dict(re.findall(r"^--(\w+)=(.*)$", "\n".join(command), re.MULTILINE))


def run_of_options(options: dict[str, str]) -> Run:
    """The run that the options name. Raises KeyError where one is missing."""
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
