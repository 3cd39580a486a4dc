"""A small shop that every campaign works on, with a trained model of each kind that it needs."""

from __future__ import annotations

import gc
import importlib
import json
import random
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from llm4rec_recbole.evaluation.record_writer import lock_sha256
from llm4rec_recbole.option_readers import read_options
from llm4rec_recbole.registry import models
from tests.campaigns.forked import run_in

QUIET = ["--dataset=shop", "--quiet=true", "--show_progress=false", "--num_threads=1"]
QUIET += ["--load_col=~", "--results_dir=results"]
POP = ["--model=Pop", *QUIET]
BPR = ["--model=BPR", "--epochs=40", "--eval_step=2", "--train_batch_size=64", *QUIET]
OURS = ["--model=EnhancedGenRec", "--llm=scratch-16x1", "--llm_layers=1", "--text_encoder=hash-8"]
OURS += ["--llm_dtype=float32", "--epochs=1", "--eval_step=1", "--hidden_size=16", *QUIET]
CHOICE = ["--model=EnhancedGenRec", "--dataset=shop"]


def import_everything() -> None:
    """Import what every command imports, so that a forked command starts at once."""
    import recbole.quick_start
    import recbole.trainer  # noqa: F401

    import llm4rec_recbole.inference.recommend
    import llm4rec_recbole.models.enhanced_genrec.model
    import llm4rec_recbole.reporting.tables
    import llm4rec_recbole.training.run  # noqa: F401


def import_for(folder: Path, commands: Iterable[Callable[[], int]]) -> None:
    """Import what `commands` import when they run in `folder`, and read the sources of the models.

    Each command runs once in a forked process. This process imports the same modules, but runs no
    command: it holds no data that a later command could read in place of a file.
    """
    names = Path(folder, "modules")
    for command in commands:

        def run(command: Callable[[], int] = command) -> int:
            status = command()
            with names.open("a") as file:
                file.write("\n".join(sys.modules) + "\n")
            return status

        outcome = run_in(folder, run)
        if outcome.status:
            raise SystemExit(f"the campaign cannot start: {outcome.stderr[-500:]}")
    for name in dict.fromkeys(names.read_text().split()):
        if name not in sys.modules:
            with suppress(ImportError):  # a module that a library puts there without a file
                importlib.import_module(name)
    names.unlink()
    lock_sha256()
    for model in models():
        for protocol in ("loo", "recbole"):
            read_options(model, protocol)
    for module in list(sys.modules.values()):
        if module.__name__.startswith(("recbole.model.", "llm4rec_recbole.models")):
            for value in list(vars(module).values()):
                if isinstance(value, type):
                    read_options(value, "loo")
    gc.collect()
    gc.freeze()  # a forked process then copies fewer pages


def write_shop(folder: Path, seed: int = 0) -> Path:
    """Write the shop's atomic files to folder/dataset/shop; return `folder`."""
    draw = random.Random(seed)
    data = folder / "dataset" / "shop"
    data.mkdir(parents=True)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(24):
        for step, item in enumerate(draw.sample(range(30), 8)):
            rows.append(f"u{user}\ti{item}\t{draw.randint(1, 5)}\t{10**9 + 1000 * step + user}")
    (data / "shop.inter").write_text("\n".join(rows) + "\n")
    rows = ["item_id:token\ttitle:token_seq\tyear:token\tcategories:token_seq"]
    rows += [f"i{n}\tThe Thing {n}\t{1960 + n}\t{'Red' if n % 2 else 'Blue'}" for n in range(30)]
    (data / "shop.item").write_text("\n".join(rows) + "\n")
    rows = ["user_id:token\tage:token\tgender:token\toccupation:token"]
    rows += [f"u{n}\t{20 + n}\t{'F' if n % 2 else 'M'}\tbaker" for n in range(24)]
    (data / "shop.user").write_text("\n".join(rows) + "\n")
    return folder


def write_raw_ratings(folder: Path, seed: int = 0) -> Path:
    """Write raw files of ml-latest-small's form to folder/raw; return `folder`."""
    draw, raw = random.Random(seed), folder / "raw"
    raw.mkdir(parents=True)
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(1, 200):
        for step, item in enumerate(draw.sample(range(1, 400), 40)):
            rows.append(f"{user},{item},{draw.randint(1, 5)},{10**9 + 1000 * step + user}")
    (raw / "ratings.csv").write_text("\n".join(rows) + "\n")
    rows = ["movieId,title,genres", *(f"{n},Thing {n} (1999),Drama|War" for n in range(1, 400))]
    (raw / "movies.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_trials(folder: Path) -> None:
    """Write a file of trials, as `llm4rec tune` does."""
    rows = ["options,valid_ndcg@10,best_epoch,epochs,seconds,seed,state"]
    for number in range(4):
        options = json.dumps({"embedding_size": 8 << number}).replace('"', '""')
        rows.append(f'"{options}",0.05{number}000,3,5,1.5,0,complete')
    path = folder / "results/tuning/shop/loo/BPR.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def write_trained_shop(folder: Path) -> Path:
    """The shop with records, checkpoints, learned events, a file of trials, and stage files."""
    write_shop(folder)
    write_trials(folder)
    events = "".join(
        f'{{"user": "u{n}", "item": "i{n}", "kind": "implicit", "time": {2 * 10**9 + n}}}\n'
        for n in range(4)
    )
    (folder / "events.jsonl").write_text(events)
    (folder / "options.yaml").write_text("seed: 3\nepochs: 1\nembedding_size: 8\n")
    groups = ("generative", "ours", "parts", "nulls", "sums")
    methods = {"deterministic": ["Pop"], "baseline": ["BPR"]} | {group: [] for group in groups}
    params = f"datasets: [shop]\nprotocols: [loo]\nmethods: {methods}\nexplained: []\nseeds: [0]\n"
    (folder / "params.yaml").write_text(
        f"{params}seeds_of_parts: [0]\nseeds_of_generative: [0]\nscale: smoke\n"
    )
    (folder / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train_Pop:\n    cmd: run\n    deps:\n    - path: params.yaml\n"
        "      md5: 0123456789abcdef0123456789abcdef\n"
    )
    for argv in (POP, ["--model=BPR", "--epochs=2", *QUIET], OURS):
        outcome = run_in(folder, lambda argv=argv: run_recbole(argv))
        if outcome.status:
            raise SystemExit(f"the campaign cannot start: {outcome.stderr[-500:]}")
    outcome = run_in(folder, lambda: llm4rec(["adapt", *CHOICE, "--events=events.jsonl"]))
    if outcome.status or "bad line" in outcome.stderr or not _journal(folder):
        raise SystemExit(f"the campaign cannot start: {outcome.stderr[-500:]}")
    return folder


def _journal(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / "work/adapted").rglob("journal.jsonl"))
