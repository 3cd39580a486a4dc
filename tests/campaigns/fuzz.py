"""Random command lines, and every file that a command reads, damaged at random.

    python -m tests.campaigns.fuzz --inputs 2000 --seed 0

No input may end in a traceback, in exit status 70 (a defect), by a signal, or not at all.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from llm4rec_recbole.console import run_command
from llm4rec_recbole.training.tune import best_trial
from tests.campaigns.forked import OutcomeCounts, numbers, run_in
from tests.campaigns.shop import CHOICE, POP, QUIET, import_everything, write_trained_shop

WORDS = [
    *("", " ", "~", "null", "nan", "NaN", "inf", "-inf", "-1", "0", "1e400", "9" * 400, "2024"),
    *("true", "[]", "{}", "[[]]", "{a: [1, {b: ~}]}", "*a", "&a [*a]", "!!python/name:os.system"),
    *("\x00", "\udce9", "é", "\u202e", "'", '"', "#", "%", "\\", "../..", "/dev/null", "a" * 5000),
]
OPTIONS = [
    *("seed", "epochs", "eval_step", "stopping_step", "train_batch_size", "learning_rate", "topk"),
    *("metrics", "valid_metric", "eval_args", "load_col", "unload_col", "unused_col", "threshold"),
    *("train_neg_sample_args", "val_interval", "user_inter_num_interval", "loss_type", "worker"),
    *("MAX_ITEM_LIST_LENGTH", "field_separator", "encoding", "protocol", "method", "components"),
    *("results_dir", "checkpoint_dir", "data_path", "config_files", "resume", "hidden_size"),
    *("TIME_FIELD", "USER_ID_FIELD", "alias_of_item_id", "numerical_features", "nproc", "learner"),
    *("clip_grad_norm", "benchmark_filename", "rm_dup_inter", "embedding_size", "reg_weight"),
]
MODELS = ["Pop", "EASE", "ItemKNN", "BPR", "FM", "SASRec", "EnhancedGenRec", "GenRecFusion"]
COMMANDS = ["recommend", "explain", "adapt", "prepare", "status", "tables", "compare", "fetch"]

TRIALS = "results/tuning/shop/loo/BPR.csv"
#: What is damaged → the file, and the command that reads it.
READERS: dict[str, tuple[str, Callable[[], int]]] = {
    "interactions": ("dataset/shop/shop.inter", lambda: run_recbole(POP)),
    "items": ("dataset/shop/shop.item", lambda: llm4rec(["recommend", *CHOICE, "--user=u1"])),
    "users": ("dataset/shop/shop.user", lambda: llm4rec(["recommend", *CHOICE, "--user=u1"])),
    "options file": (
        "options.yaml",
        lambda: run_recbole(["--model=BPR", *QUIET, "--config_files=options.yaml"]),
    ),
    "checkpoint": (
        "work/checkpoints/BPR-*.safetensors",
        lambda: llm4rec(["recommend", "--model=BPR", "--dataset=shop", "--user=u1"]),
    ),
    "record": ("results/runs/shop/loo/BPR/seed_0.json", lambda: llm4rec(["compare"])),
    "users file": ("results/users/shop/loo/BPR/seed_0.*", lambda: llm4rec(["compare"])),
    "journal": (
        "work/adapted/**/journal*",
        lambda: llm4rec(["adapt", *CHOICE, "--events=events.jsonl"]),
    ),
    "events": ("events.jsonl", lambda: llm4rec(["adapt", *CHOICE, "--events=events.jsonl"])),
    "trials": (
        TRIALS,
        lambda: run_command("best trial", lambda: int(not best_trial(Path(TRIALS)))),
    ),
    "params.yaml": ("params.yaml", lambda: llm4rec(["status"])),
    "dvc.lock": ("dvc.lock", lambda: llm4rec(["status"])),
}


def random_arguments(draw: random.Random) -> list[str]:
    """A command line of run_recbole: a model, a data set, and options with odd values."""
    argv = [f"--model={draw.choice([*MODELS, draw.choice(WORDS)])}"]
    argv.append(f"--dataset={draw.choice(['shop'] * 5 + WORDS)}")
    for name in draw.sample(OPTIONS, draw.randint(1, 4)):
        value = (
            draw.choice(WORDS)
            if draw.random() < 0.8
            else damaged(b"[5, {a: 1}]", draw).decode("utf-8", "surrogateescape")
        )
        argv.append(f"--{name}={value}")
    if draw.random() < 0.2:
        argv.insert(draw.randrange(len(argv)), draw.choice(WORDS))
    return [*argv, "--show_progress=false"] if draw.random() < 0.8 else argv


def random_command(draw: random.Random) -> list[str]:
    """A command line of llm4rec."""
    argv = [draw.choice([*COMMANDS, draw.choice(WORDS)])]
    names = ["user", "item", "model", "dataset", "checkpoint", "state", "events", "results", "data"]
    for name in draw.sample(names, draw.randint(0, 3)):
        argv += [f"--{name}", draw.choice(["u1", "i1", "shop", "EnhancedGenRec", *WORDS])]
    return argv


def damaged(content: bytes, draw: random.Random) -> bytes:
    """`content` with one to three random changes."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice([1, 1, 4, 40]))
        word = draw.choice(WORDS).encode("utf-8", "surrogateescape")[:200]
        change = draw.randrange(6)
        if change == 0 and start < len(data):
            data[start] ^= 1 << draw.randrange(8)
        elif change == 1:
            del data[start:end]
        elif change == 2:
            data[start:start] = data[start:end]
        elif change == 3:
            data[start:end] = word
        elif change == 4:
            data[start:start] = draw.randbytes(draw.randint(1, 8))
        else:
            del data[start:]
    return bytes(data)


def attempt(folder: Path, kind: str, draw: random.Random) -> str:
    """Try one input of `kind` in `folder`; returns the defect, "" for none."""
    if kind == "run_recbole":
        argv = random_arguments(draw)
        defect = run_in(folder, lambda: run_recbole(argv)).defect
        return f"{argv!r}: {defect}" if defect else ""
    if kind == "llm4rec":
        argv = random_command(draw)
        defect = run_in(folder, lambda: llm4rec(argv)).defect
        return f"{argv!r}: {defect}" if defect else ""
    pattern, command = READERS[kind]
    files = sorted(folder.glob(pattern))
    if not files:
        raise SystemExit(f"the shop has no {pattern}")
    content = damaged(files[0].read_bytes(), draw)
    files[0].write_bytes(content)
    defect = run_in(folder, command).defect
    return f"{content[:200]!r}: {defect}" if defect else ""


def check_readers(clean: Path, folder: Path) -> None:
    """Stop unless each reader succeeds on the undamaged file: else it would test nothing."""
    for kind, (pattern, command) in READERS.items():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(clean, folder)
        outcome = run_in(folder, command)
        if not list(folder.glob(pattern)) or outcome.status:
            raise SystemExit(f"{kind}: exit status {outcome.status}: {outcome.stderr[-500:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the commands and every file they read.")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600, help="end after these at the latest")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    import_everything()
    outcomes = OutcomeCounts()
    kinds = ["run_recbole", "llm4rec", *READERS]
    with tempfile.TemporaryDirectory() as parent:
        clean = write_trained_shop(Path(parent, "clean"))
        check_readers(clean, Path(parent, "input"))
        for number in numbers(options.inputs, options.minutes):
            folder = Path(parent, "input")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(clean, folder)
            kind = kinds[number % len(kinds)]
            outcomes.add(kind, attempt(folder, kind, random.Random(f"{options.seed} {number}")))
    print(f"seed {options.seed}, {outcomes.count} inputs\n\n{outcomes.report()}")
    return outcomes.status


if __name__ == "__main__":
    sys.exit(main())
