"""Scarce resources: full disks, closed and full outputs, few files, little memory.

    python -m tests.campaigns.resources

Each command must end in one line, and leave what earlier runs wrote as it was.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from tests.campaigns.forked import Outcome, OutcomeCounts, run_in
from tests.campaigns.shop import BPR, CHOICE, POP, import_everything, import_for, write_trained_shop

COMMANDS = {
    "train Pop": lambda: run_recbole(POP),
    "train BPR": lambda: run_recbole([*BPR]),
    "recommend": lambda: llm4rec(["recommend", *CHOICE, "--user=u1"]),
    "adapt": lambda: llm4rec(["adapt", *CHOICE, "--events=events.jsonl"]),
    "status": lambda: llm4rec(["status"]),
    "help": lambda: run_recbole(["--help"]),
}
FILE_SIZES = [0, 100, 1_000, 10_000, 100_000]  # bytes that a file may have


def check(folder: Path, outcome: Outcome, before: dict[str, bytes]) -> str:
    if outcome.defect:
        return outcome.defect
    for name, content in before.items():
        now = (folder / name).read_bytes() if (folder / name).exists() else b""
        if now != content:
            try:
                json.loads(now)  # a complete new record
            except ValueError:
                return f"{name} is damaged"
    return ""


def main() -> int:
    sys.argv = sys.argv[:1]
    import_everything()
    outcomes = OutcomeCounts()
    with tempfile.TemporaryDirectory() as parent:
        clean = write_trained_shop(Path(parent, "clean"))
        folder = Path(shutil.copytree(clean, Path(parent, "attempt")))
        import_for(folder, COMMANDS.values())
        records = [path.relative_to(clean) for path in (clean / "results/runs").rglob("*.json")]
        before = {str(path): (clean / path).read_bytes() for path in records}

        def attempt(kind: str, command: str, **options) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(clean, folder)
            outcome = run_in(folder, COMMANDS[command], **options)
            outcomes.add(kind, (d := check(folder, outcome, before)) and f"{command}: {d}")

        for command in COMMANDS:
            for size in FILE_SIZES:
                attempt("disk full", command, limits={resource.RLIMIT_FSIZE: size})
            attempt("output full", command, stdout="/dev/full")
            attempt("output closed", command, stdout="closed")
            for files in (8, 16, 32):
                attempt("few open files", command, limits={resource.RLIMIT_NOFILE: files})
    print(outcomes.report())
    return outcomes.status


if __name__ == "__main__":
    sys.exit(main())
