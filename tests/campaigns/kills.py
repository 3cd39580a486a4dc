"""Kills at random moments of training, adaptation and prepare; then the same command again.

    python -m tests.campaigns.kills --rounds 50 --seed 0

A run that is resumed must end with the bits of the run that nobody killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from tests.campaigns.forked import OutcomeCounts, finish_or_kill, numbers, run_in, start
from tests.campaigns.shop import (
    BPR,
    CHOICE,
    import_everything,
    import_for,
    write_raw_ratings,
    write_shop,
    write_trained_shop,
)

PREPARE = ["prepare", "--dataset=ml-latest-small", "--raw=raw"]
KINDS = ("training, SIGKILL", "training, SIGTERM", "adapt, SIGKILL", "prepare, SIGKILL")
ADAPT = ["adapt", *CHOICE, "--events=more.jsonl"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained(folder: Path) -> object:
    """What a training leaves that must not depend on kills."""
    record = json.loads((folder / "results/runs/shop/loo/BPR/seed_0.json").read_text())
    users = sorted((folder / "results/users").rglob("seed_0.*"))
    return record["metrics"], record["history"], record["cost"]["epochs"], list(map(digest, users))


def kill_training(folder: Path, draw: random.Random, number: int, seconds: float) -> str:
    """Kill a training until it has a record, resuming it each time."""
    argv = list(BPR)
    for _ in range(20):
        pid = start(partial(run_recbole, argv), folder)
        outcome = finish_or_kill(pid, draw.uniform(0, seconds), number)
        if outcome.status == 0:
            return ""
        if outcome.status not in (-number, 128 + number):
            if "nothing to resume" not in outcome.stderr:
                return outcome.defect or outcome.stderr
            argv = list(BPR)
            continue
        argv = [*BPR, "--resume"]
        seconds *= 1.3
    outcome = run_in(folder, lambda: run_recbole(argv))
    if "nothing to resume" in outcome.stderr:
        outcome = run_in(folder, lambda: run_recbole(BPR))
    return outcome.defect or (outcome.stderr if outcome.status else "")


def learned(folder: Path) -> object:
    """The journal and the state of the model after its last event, whole: name → digest."""
    files = [path for path in (folder / "work/adapted").rglob("*") if path.is_file()]
    return {path.name: digest(path) for path in files}


def kill_adaptation(folder: Path, draw: random.Random, seconds: float) -> str:
    for _ in range(4):
        pid = start(lambda: llm4rec(ADAPT), folder)
        outcome = finish_or_kill(pid, draw.uniform(0, seconds), signal.SIGKILL)
        if outcome.status not in (0, -signal.SIGKILL):
            return outcome.defect or outcome.stderr
    outcome = run_in(folder, lambda: llm4rec(ADAPT))
    return outcome.defect or (outcome.stderr if outcome.status else "")


def prepared(folder: Path) -> object:
    """The prepared files, whole: name → digest."""
    files = [*(folder / "dataset").rglob("*"), *(folder / "work").rglob("*")]
    names = {str(path.relative_to(folder)): path for path in files if path.is_file()}
    return {name: digest(path) for name, path in names.items() if not path.name.startswith(".")}


def kill_preparation(folder: Path, draw: random.Random, seconds: float) -> str:
    """Kill `prepare` twice, then let it end."""
    for _ in range(2):
        outcome = finish_or_kill(
            start(lambda: llm4rec(PREPARE), folder), draw.uniform(0, seconds), signal.SIGKILL
        )
        if outcome.status not in (0, -signal.SIGKILL):
            return outcome.defect or outcome.stderr
    outcome = run_in(folder, lambda: llm4rec(PREPARE))
    return outcome.defect or (outcome.stderr if outcome.status else "")


def duration(folder: Path, command: Callable[[], int]) -> float:
    """Seconds of `command` in `folder`. Stops the campaign where the command fails."""
    began = time.monotonic()
    outcome = run_in(folder, command)
    if outcome.status:
        raise SystemExit(f"the campaign cannot start: {outcome.stderr[-500:]}")
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill commands at random moments.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600, help="end after these at the latest")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    import_everything()
    outcomes = OutcomeCounts()
    with tempfile.TemporaryDirectory() as parent:
        shop, folder = write_trained_shop(Path(parent, "shop")), Path(parent, "round")
        event = '{{"user": "u{}", "item": "i{}", "kind": "implicit", "time": {}}}\n'
        events = "".join(event.format(n % 24, n, 2 * 10**9 + n) for n in range(30))
        (shop / "more.jsonl").write_text(events)
        shutil.copytree(shop, folder)
        write_raw_ratings(folder)
        import_for(folder, [partial(run_recbole, BPR), partial(llm4rec, ADAPT)])
        import_for(folder, [partial(llm4rec, PREPARE)])
        shutil.rmtree(folder)
        write_shop(folder)
        seconds = duration(folder, partial(run_recbole, BPR))
        expected = trained(folder)
        shutil.rmtree(folder)
        shutil.copytree(shop, folder)
        adapting = duration(folder, partial(llm4rec, ADAPT))
        expected_events = learned(folder)
        shutil.rmtree(folder)
        write_raw_ratings(folder)
        preparing = duration(folder, partial(llm4rec, PREPARE))
        expected_files = prepared(folder)
        print(f"unkilled: {seconds:.1f} s, {adapting:.1f} s, {preparing:.1f} s", file=sys.stderr)
        for number in numbers(options.rounds, options.minutes):
            draw = random.Random(f"{options.seed} {number}")
            shutil.rmtree(folder, ignore_errors=True)
            kind = KINDS[number % len(KINDS)]
            if kind == "prepare, SIGKILL":
                write_raw_ratings(folder)
                defect = kill_preparation(folder, draw, preparing)
                if not defect and prepared(folder) != expected_files:
                    defect = "other files than the run that nobody killed"
            elif kind == "adapt, SIGKILL":
                shutil.copytree(shop, folder)
                defect = kill_adaptation(folder, draw, adapting)
                if not defect and learned(folder) != expected_events:
                    defect = "another journal or model than after the run that nobody killed"
            else:
                write_shop(folder)
                signal_number = signal.SIGKILL if "KILL" in kind else signal.SIGTERM
                defect = kill_training(folder, draw, signal_number, seconds)
                if not defect and trained(folder) != expected:
                    defect = "other results than the run that nobody killed"
            outcomes.add(kind, defect)
            print(f"{number} {kind}: {defect or 'survived'}", file=sys.stderr, flush=True)
    print(f"seed {options.seed}, {outcomes.count} rounds\n\n{outcomes.report()}")
    return outcomes.status


if __name__ == "__main__":
    sys.exit(main())
