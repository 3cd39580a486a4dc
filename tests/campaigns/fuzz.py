"""Random command lines, and every file that a command reads, damaged at random.

    python -m tests.campaigns.fuzz --inputs 2000 --seed 0

Hypothesis draws the inputs (inputs.py), the same ones for one seed. No input may end in a
traceback, in exit status 70 (a defect), by a signal, or not at all. A refusal is one short line.
What earlier runs wrote stays whole. Each input runs the function of the console command, in a
process forked from one that has imported what the commands import.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from llm4rec_recbole.console import run_command
from llm4rec_recbole.data import table_cache
from llm4rec_recbole.datasets.prepare import prepare
from llm4rec_recbole.language_models.encode_items import read_encoded
from llm4rec_recbole.reporting.inputs import time_note
from llm4rec_recbole.reporting.page import model_outputs
from llm4rec_recbole.training.trials import best_trial
from tests.campaigns.forked import Outcome, OutcomeCounts, run_in
from tests.campaigns.inputs import EDITS, command_arguments, edited, run_arguments
from tests.campaigns.shop import (
    CHOICE,
    POP,
    QUIET,
    import_everything,
    import_for,
    write_raw_ratings,
    write_trained_shop,
)

SECONDS = 60  # in which an input must end
MEMORY = 16 << 30  # bytes of address space that an input may use
NAMES = ("run_recbole: ", "llm4rec", "reader: ")  # how a line begins that refuses an input
ROUND = 2000  # inputs of all kinds, after which the counts are printed
LONGEST = 600  # characters of a line that refuses an input
CHECKOUT = Path(__file__).resolve().parents[2]
TRIALS = "results/tuning/shop/loo/BPR.csv"
OF_RUN = "shop/loo/EnhancedGenRec/seed_0"
CACHED = [word.replace("shop", "cached") for word in POP]
RECOMMEND = ["recommend", *CHOICE, "--user=u1"]
ADAPT = ["adapt", *CHOICE, "--events=events.jsonl"]
RESULTS = Path("results")
ARCHIVE = "an archive"


def reader(read: Callable[[], object]) -> Callable[[], int]:
    """A function that reads a file, as a command."""
    return lambda: run_command("reader", lambda: 0 * len(str(read())))


#: What is damaged → the file, and the command that reads it.
READERS: dict[str, tuple[str, Callable[[], int]]] = {
    "interactions": ("dataset/shop/shop.inter", lambda: run_recbole(POP)),
    "items": ("dataset/shop/shop.item", lambda: llm4rec(RECOMMEND)),
    "users": ("dataset/shop/shop.user", lambda: llm4rec(RECOMMEND)),
    "knowledge graph": (
        "dataset/shop/shop.kg",
        lambda: run_recbole(["--model=CFKG", "--epochs=1", *QUIET]),
    ),
    "links to the graph": (
        "dataset/shop/shop.link",
        lambda: run_recbole(["--model=CFKG", "--epochs=1", *QUIET]),
    ),
    "cached interactions": ("dataset/cached/cache/*", lambda: run_recbole(CACHED)),
    "raw ratings": (
        "raw/ratings.csv",
        lambda: llm4rec(["prepare", "--dataset=ml-latest-small", "--raw=raw"]),
    ),
    "raw items": (
        "raw/movies.csv",
        lambda: llm4rec(["prepare", "--dataset=ml-latest-small", "--raw=raw"]),
    ),
    ARCHIVE: ("raw.zip", lambda: llm4rec(["fetch", "ml-latest-small", "--from=raw.zip"])),
    "options file": (
        "options.yaml",
        lambda: run_recbole(["--model=BPR", *QUIET, "--config_files=options.yaml"]),
    ),
    "checkpoint": (
        "work/checkpoints/BPR-*.safetensors",
        lambda: llm4rec(["recommend", "--model=BPR", "--dataset=shop", "--user=u1"]),
    ),
    "adapted weights": ("work/checkpoints/*.adapted", lambda: llm4rec(RECOMMEND)),
    "text vectors": (
        "work/encoded/shop/hash-8/*",
        reader(lambda: read_encoded("work/encoded/shop/hash-8").items),
    ),
    "record": ("results/runs/shop/loo/BPR/seed_0.json", lambda: llm4rec(["compare"])),
    "users file": ("results/users/shop/loo/BPR/seed_0.*", lambda: llm4rec(["compare"])),
    "comparisons": ("results/comparisons.csv", lambda: llm4rec(["tables"])),
    "failure note": ("work/failures/*", lambda: llm4rec(["tables"])),
    "summary of data": (
        "results/data/shop.json",
        reader(lambda: time_note(RESULTS, "shop", "loo")),
    ),
    "shuffle tests": ("results/data/order.json", reader(lambda: time_note(RESULTS, "shop", "loo"))),
    "explanations": (
        f"results/explanations/{OF_RUN}.json",
        reader(lambda: model_outputs.recommendations(RESULTS)),
    ),
    "faithfulness": (
        f"results/faithfulness/{OF_RUN}.json",
        reader(lambda: model_outputs.faithfulness(RESULTS)),
    ),
    "replay": (f"results/replay/{OF_RUN}.json", reader(lambda: model_outputs.replay(RESULTS))),
    "journal": ("work/adapted/**/journal.jsonl", lambda: llm4rec(ADAPT)),
    "learned state": ("work/adapted/**/*.safetensors", lambda: llm4rec(ADAPT)),
    "owner of the state": ("work/adapted/**/model.json", lambda: llm4rec(ADAPT)),
    "events": ("events.jsonl", lambda: llm4rec(ADAPT)),
    "trials": (TRIALS, reader(lambda: best_trial(Path(TRIALS)))),
    "params.yaml": ("params.yaml", lambda: llm4rec(["status"])),
    "dvc.lock": ("dvc.lock", lambda: llm4rec(["status"])),
}


def write_read_files(folder: Path) -> None:
    """Write what `READERS` read and the trained shop lacks."""
    data = folder / "dataset"
    graph = [f"e{n}\tr{n % 2}\te{n * 7 % 30}" for n in range(30)]
    header = "head_id:token\trelation_id:token\ttail_id:token"
    (data / "shop/shop.kg").write_text("\n".join([header, *graph]) + "\n")
    links = [f"i{n}\te{n}" for n in range(30)]
    (data / "shop/shop.link").write_text(
        "\n".join(["item_id:token\tentity_id:token", *links]) + "\n"
    )
    (data / "cached").mkdir()
    for kind in ("inter", "item", "user"):
        shutil.copy(data / f"shop/shop.{kind}", data / f"cached/cached.{kind}")
    write_raw_ratings(folder)
    with zipfile.ZipFile(folder / "raw.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (folder / "raw").iterdir():
            archive.write(file, f"ml-latest-small/{file.name}")
    for kind in ("explanations", "faithfulness", "replay"):
        copy_committed(f"{kind}/{OF_RUN}.json", folder)
    copy_committed("data/shop.json", folder)
    copy_committed("data/order.json", folder)
    (folder / "README.md").write_text("# The shop\n")

    def make() -> int:
        table_cache.LEAST_BYTES = 1
        prepare("cached", Path("work/data/cached"))
        note = {"error": "run_recbole: epochs is 0 (1 or more)", "finished": "2026-01-01"}
        Path("work/failures").mkdir()
        Path("work/failures/shop.loo.SASRec.seed_0.json").write_text(json.dumps(note))
        return llm4rec(["compare"])

    outcome = run_in(folder, make)
    if outcome.status:
        raise SystemExit(f"the campaign cannot start: {outcome.stderr[-500:]}")


def copy_committed(name: str, folder: Path) -> None:
    """Copy a committed result of ml-100k to the shop's results."""
    path = folder / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    source = CHECKOUT / "results" / name.replace("shop", "ml-100k")
    path.write_text(source.read_text("utf-8").replace("ml-100k", "shop"), "utf-8")


def earlier_files(folder: Path) -> dict[Path, bytes]:
    """What earlier commands wrote: records, users files, checkpoints, learned events."""
    files = [path for top in ("results", "work") for path in (folder / top).rglob("*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


def lost_file(before: dict[Path, bytes]) -> str:
    """The first earlier file that is missing, empty, or no JSON where it was; "" for none."""
    for path, content in before.items():
        if not path.is_file():
            return f"{path.name} is lost"
        if path.read_bytes() != content and path.suffix == ".json":
            try:
                json.loads(path.read_bytes())
            except ValueError:
                return f"{path.name} is damaged"
        elif content and not path.stat().st_size:
            return f"{path.name} is empty"
    return ""


def refusal(outcome: Outcome) -> str:
    """What is wrong with how a command refuses its input; "" for nothing."""
    if outcome.status != 2:
        return ""
    lines = [line for line in outcome.stderr.splitlines() if line.startswith(NAMES)]
    if len(lines) != 1 or outcome.stderr.splitlines()[-1] != lines[0]:
        return f"status 2 with {len(lines)} lines that say why: {outcome.stderr[-300:]!r}"
    return f"a line of {len(lines[0])} characters" if len(lines[0]) > LONGEST else ""


def attempt(folder: Path, kind: str, drawn: Any) -> tuple[str, int]:
    """Try one input of `kind` in `folder`; return the defect ("" for none) and the exit status.

    drawn: a command line, or the edits of a file.
    """
    damaged_files: set[Path] = set()
    if kind in ("run_recbole", "llm4rec"):
        main = run_recbole if kind == "run_recbole" else llm4rec
        command, shown = (lambda: main(drawn)), drawn
    else:
        pattern, command = READERS[kind]
        files = sorted(folder.glob(pattern))
        file = files[drawn[0].other % len(files)]
        file.write_bytes(edited(file.read_bytes(), drawn))
        shown, damaged_files = drawn, {file}
    before = {p: c for p, c in earlier_files(folder).items() if p not in damaged_files}
    outcome = run_in(folder, command, SECONDS, limits={resource.RLIMIT_AS: MEMORY})
    defect = outcome.defect or refusal(outcome) or lost_file(before)
    return f"{str(shown)[:500]}: {defect}" if defect else "", outcome.status


def inputs_of(kind: str) -> st.SearchStrategy[Any]:
    return {"run_recbole": run_arguments(), "llm4rec": command_arguments()}.get(kind, EDITS)


def draw_inputs(kind: str, count: int, seed: str, use: Callable[[Any], None]) -> None:
    """Call `use` with `count` inputs of `kind`. The same seed draws the same inputs."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],  # a defect is counted, and the next input is tried
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(inputs_of(kind))
    def draw(drawn: Any) -> None:
        use(drawn)

    draw()


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the commands and every file they read.")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", help="only these kinds", metavar="KIND")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    import_everything()
    outcomes = OutcomeCounts()
    statuses: Counter[tuple[str, int]] = Counter()
    seconds: Counter[str] = Counter()
    kinds = options.kinds or ["run_recbole", "llm4rec", *READERS]
    with tempfile.TemporaryDirectory() as parent:
        clean = write_trained_shop(Path(parent, "clean"))
        write_read_files(clean)
        folder = Path(shutil.copytree(clean, Path(parent, "input")))
        # an archive whose checksums are not the published ones is refused
        import_for(folder, [command for kind, (_, command) in READERS.items() if kind != ARCHIVE])
        for number in range(-(-options.inputs // ROUND)):
            inputs = min(ROUND, options.inputs - number * ROUND)
            for position, kind in enumerate(kinds):

                def use(drawn: Any, kind: str = kind) -> None:
                    began = cpu_seconds()
                    shutil.rmtree(folder, ignore_errors=True)
                    shutil.copytree(clean, folder)
                    defect, status = attempt(folder, kind, drawn)
                    outcomes.add(kind, defect)
                    statuses[kind, status] += 1
                    seconds[kind] += cpu_seconds() - began
                    if defect:
                        print(f"{kind}: {defect}", file=sys.stderr, flush=True)

                count = inputs // len(kinds) + (position < inputs % len(kinds))
                draw_inputs(kind, count, f"{options.seed} {number}", use)
            print(
                f"after {outcomes.count} inputs\n{outcomes.report()}", file=sys.stderr, flush=True
            )
    print(f"seed {options.seed}, {outcomes.count} inputs\n\n{outcomes.report()}")
    for (kind, status), count in sorted(statuses.items()):
        print(f"{kind}: {count} × status {status}")
    for kind, cost in seconds.items():
        print(f"{kind}: {cost:.0f} CPU-seconds, {cost / outcomes.tried[kind]:.2f} an input")
    return outcomes.status


if __name__ == "__main__":
    sys.exit(main())
