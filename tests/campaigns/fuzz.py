"""Random command lines, and every file that a command reads, damaged at random.

    python -m tests.campaigns.fuzz --inputs 2000 --seed 0

No input may end in a traceback, in exit status 70 (a defect), by a signal, or not at all. A refusal
is one short line. What earlier runs wrote stays whole. Each input runs the function of the console
command, in a process forked from one that has imported what the commands import.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec, run_recbole
from llm4rec_recbole.console import run_command
from llm4rec_recbole.option_readers import read_options
from llm4rec_recbole.training.trials import best_trial
from tests.campaigns.forked import Outcome, OutcomeCounts, numbers, run_in
from tests.campaigns.shop import (
    CHOICE,
    OURS,
    POP,
    QUIET,
    import_everything,
    import_for,
    write_trained_shop,
)

SECONDS = 60  # in which an input must end
MEMORY = 16 << 30  # bytes of address space that an input may use
NAMES = ("run_recbole: ", "llm4rec", "best trial: ")  # how a line begins that refuses an input
LONGEST = 600  # characters of a line that refuses an input
WORDS = [
    *("", " ", "~", "null", "nan", "NaN", "inf", "-inf", "-1", "0", "1e400", "9" * 400, "2024"),
    *("true", "[]", "{}", "[[]]", "{a: [1, {b: ~}]}", "*a", "&a [*a]", "!!python/name:os.system"),
    *("\x00", "\udce9", "é", "\u202e", "'", '"', "#", "%", "\\", "../..", "/dev/null", "a" * 5000),
]
#: Option → values that some model accepts under some protocol.
OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("seed", "epochs", "eval_step", "stopping_step"), ("1", "2", "7")),
    **dict.fromkeys(("hidden_size", "embedding_size", "inner_size"), ("8", "16", "64")),
    "train_batch_size": ("1", "17", "4096"),
    "eval_batch_size": ("1", "64"),
    "learning_rate": ("1e-3", "0.1", "1"),
    "topk": ("1", "[5, 10]", "[1]"),
    "metrics": ("[NDCG, Hit]", "[AUC]", "[Recall, TailPercentage]", "[RMSE]", "ItemCoverage"),
    "valid_metric": ("NDCG@10", "MRR@5", "AUC", "Hit@1"),
    "eval_args": (
        "{split: {RS: [0.8, 0.1, 0.1]}, order: TO, group_by: user, mode: full}",
        "{split: {LS: valid_and_test}, order: RO, mode: uni10}",
        "{mode: labeled}",
        "{group_by: none}",
    ),
    "load_col": ("~", "{inter: [user_id, item_id, timestamp]}", "{inter: [user_id, item_id]}"),
    "unload_col": ("{inter: [rating]}", "{item: [year]}"),
    "threshold": ("{rating: 4}", "{rating: 1}", "{timestamp: 1000003000}"),
    "train_neg_sample_args": (
        "{distribution: uniform, sample_num: 2}",
        "{distribution: popularity, sample_num: 1, alpha: 0.5}",
        "{distribution: uniform, sample_num: 1, dynamic: true, candidate_num: 2}",
        "~",
    ),
    "val_interval": ("{rating: '[3,inf)'}", "{timestamp: '[0,1000005000]'}"),
    "user_inter_num_interval": ("[2,inf)", "[9,inf)", "(0,8]"),
    "item_inter_num_interval": ("[2,inf)", "[5,inf)"),
    "loss_type": ("CE", "BPR"),
    "MAX_ITEM_LIST_LENGTH": ("1", "3", "50"),
    "field_separator": ("\\t", ","),
    "encoding": ("utf-8", "ascii", "latin-1"),
    "protocol": ("loo", "temporal", "recbole"),
    "method": ("mine", "BPR", "../mine"),
    "components": ("[]", "[fusion]", "[retrieval, debiasing]", "[adaptation]"),
    "results_dir": ("results", "other results", "2024"),
    "checkpoint_dir": ("work/checkpoints", "x/y"),
    "data_path": ("dataset", "dataset/shop"),
    "config_files": ("options.yaml", "[options.yaml]", "options.yaml,options.yaml"),
    "resume": ("true", "false"),
    "TIME_FIELD": ("timestamp", "rating"),
    "USER_ID_FIELD": ("user_id", "item_id"),
    "alias_of_item_id": ("[item_id]", "~"),
    "numerical_features": ("[rating]", "[year]"),
    "nproc": ("1", "2"),
    "learner": ("adam", "sgd", "sparse_adam", "rmsprop"),
    "clip_grad_norm": ("{max_norm: 5}", "~"),
    "benchmark_filename": ("[train, valid, test]", "~"),
    "rm_dup_inter": ("first", "last", "~"),
    "reg_weight": ("0.1", "0", "[1e-5, 1e-3]"),
    "repeatable": ("true", "false"),
    "n_layers": ("1", "2"),
    "item_candidates": ("interacted", "all"),
    "beam_width": ("1", "100000"),
    "num_negatives": ("1", "1000000"),
    "loss": ("full", "sampled", "gbce", "sce"),
    "negatives": ("uniform", "popularity", "in_batch"),
    "item_init": ("random", "spectral", "text"),
    "decoding": ("exhaustive", "beam", "unconstrained"),
    "fairness_groups": ("gender", "age", "[gender]", "colour"),
}
PLAUSIBLE = [
    *("1", "2", "5", "16", "64", "0.1", "1e-3", "true", "false", "~", "CE", "BPR", "[5, 10]"),
    *("full", "uni100", "labeled", "none", "uniform", "popularity", "shop", "loo", "temporal"),
    *("recbole", "user_id", "item_id", "timestamp", "rating", "label", "title", "year", "[year]"),
    *("NDCG@10", "[NDCG, Hit]", "AUC", "[AUC]", "MRR@5", "[1,3]", "(0,inf)", "{rating: 4}"),
    *("{rating: '[3,inf)'}", "[2,inf)", "{inter: [user_id, item_id]}", "{group_by: ~}"),
    *("{split: {RS: [0.8, 0.1, 0.1]}, order: TO, mode: full}", "{distribution: none}", "adam"),
    *(
        "{distribution: uniform, sample_num: 2}",
        "options.yaml",
        "sgd",
        "first",
        "utf-8",
        "[fusion]",
    ),
]
SMALL = ["--epochs=1", "--train_batch_size=64", "--num_threads=1", "--show_progress=false"]
SMALL += ["--load_col=~"]
LABELS = ["--threshold={rating: 4}"]
OURS_SMALL = [word for word in OURS[1 : -len(QUIET)] if not word.startswith("--epochs")]
#: Model → options with which it trains in a fraction of a second.
MODELS = {
    **dict.fromkeys(["Pop", "EASE", "ItemKNN"], SMALL[2:]),
    **dict.fromkeys(["BPR", "SASRec", "BERT4Rec", "LightGCN", "NeuMF", "GRU4Rec"], SMALL),
    **{name: [*SMALL, *LABELS] for name in ("FM", "DeepFM")},
    **{name: [*SMALL, *OURS_SMALL] for name in ("EnhancedGenRec", "GenRecFusion")},
}
#: Command of `llm4rec` → arguments with which it succeeds.
COMMANDS = {
    "recommend": [*CHOICE, "--user=u1"],
    "explain": [*CHOICE, "--user=u1", "--item=i1"],
    "adapt": [*CHOICE, "--events=events.jsonl"],
    "showcase": [*CHOICE, "--users=1"],
    "replay": [*CHOICE, "--most=2"],
    "prepare": ["--dataset=shop"],
    "fetch": ["ml-latest-small", "--from=raw"],
    **{name: [] for name in ("status", "tables", "compare", "dataset_table", "report", "power")},
    "pair": ["BPR", "Pop"],
}

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
        "work/adapted/**/journal.jsonl",
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


def random_value(option: str, draw: random.Random) -> str:
    share = draw.random()
    if share < 0.6:
        return draw.choice(OPTIONS[option])
    if share < 0.7:
        return draw.choice(PLAUSIBLE)
    if share < 0.9:
        return draw.choice(WORDS)
    return damaged(draw.choice(PLAUSIBLE).encode(), draw).decode("utf-8", "surrogateescape")


def random_arguments(draw: random.Random) -> list[str]:
    """A command line of run_recbole: a model, a data set, and options with odd values.

    The other options make a training small, if the odd ones let it begin.
    """
    model = draw.choice([*MODELS] * 10 + WORDS)
    protocol = draw.choice(["loo", "recbole", "temporal"])
    argv = [f"--model={model}", f"--dataset={draw.choice(['shop'] * 200 + WORDS)}"]
    argv.append(f"--protocol={protocol}")
    obeyed = [*OPTIONS]
    if model in MODELS and draw.random() < 0.8:
        obeyed = [name for name in OPTIONS if name in read_options(model, protocol)]
    names = set(draw.sample(obeyed, draw.choice([1, 1, 1, 2, 3]))) - {"protocol"}
    argv += [f"--{name}={random_value(name, draw)}" for name in sorted(names)]
    small = MODELS.get(model, SMALL)
    argv += [word for word in small if word[2:].partition("=")[0] not in names]
    if draw.random() < 0.05:
        argv.insert(draw.randrange(len(argv)), draw.choice(WORDS))
    return argv


def random_command(draw: random.Random) -> list[str]:
    """A command line of llm4rec: one that succeeds, with one to three changes."""
    if draw.random() < 0.05:
        return [draw.choice(WORDS), *random_arguments(draw)[:2]]
    command = draw.choice([*COMMANDS])
    argv = [*COMMANDS[command]]
    names = ["user", "item", "model", "dataset", "checkpoint", "state", "events", "results", "out"]
    names += ["data", "k", "users", "most", "ewc", "summary", "raw", "claim", "pilot", "data-path"]
    for _ in range(draw.randint(1, 3)):
        change, value = draw.randrange(4), draw.choice(["u1", "i1", "shop", "BPR", *WORDS])
        position = draw.randrange(len(argv) + 1)
        if change == 0:
            argv[position:position] = [f"--{draw.choice(names)}={value}"]
        elif change == 1:
            argv[position:position] = [value]
        elif position < len(argv) and change == 2:
            argv[position] = f"{argv[position].partition('=')[0]}={value}"
        else:
            del argv[position : position + 1]
    if command in ("showcase", "explain"):  # not with the packaged model, which takes minutes
        argv.append("--language_model=none")
    return [command, *argv]


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


def attempt(folder: Path, kind: str, draw: random.Random) -> tuple[str, int]:
    """Try one input of `kind` in `folder`; returns the defect ("" for none) and the exit status."""
    if kind in ("run_recbole", "llm4rec"):
        argv = random_arguments(draw) if kind == "run_recbole" else random_command(draw)
        shown: object = argv
        damaged_files: set[Path] = set()
        main = run_recbole if kind == "run_recbole" else llm4rec

        def command() -> int:
            return main(argv)
    else:
        pattern, command = READERS[kind]
        file = sorted(folder.glob(pattern))[0]
        file.write_bytes(damaged(file.read_bytes(), draw))
        shown = file.read_bytes()[:200]
        damaged_files = {file}
    before = {p: c for p, c in earlier_files(folder).items() if p not in damaged_files}
    limits = {resource.RLIMIT_AS: MEMORY}
    outcome = run_in(folder, command, SECONDS, limits=limits)
    defect = outcome.defect or refusal(outcome) or lost_file(before)
    return f"{str(shown)[:500]}: {defect}" if defect else "", outcome.status


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the commands and every file they read.")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600, help="end after these at the latest")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    import_everything()
    outcomes = OutcomeCounts()
    statuses: Counter[tuple[str, int]] = Counter()
    kinds = ["run_recbole", "llm4rec", *READERS]
    with tempfile.TemporaryDirectory() as parent:
        clean = write_trained_shop(Path(parent, "clean"))
        folder = Path(shutil.copytree(clean, Path(parent, "input")))
        import_for(folder, [command for _, command in READERS.values()])
        for number in numbers(options.inputs, options.minutes):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(clean, folder)
            kind = kinds[number % len(kinds)]
            defect, status = attempt(folder, kind, random.Random(f"{options.seed} {number}"))
            outcomes.add(kind, defect)
            statuses[kind, status] += 1
            if defect:
                print(f"{number} {kind}: {defect}", file=sys.stderr, flush=True)
    print(f"seed {options.seed}, {outcomes.count} inputs\n\n{outcomes.report()}")
    print("\n".join(f"{kind}: {n} × status {status}" for (kind, status), n in statuses.items()))
    return outcomes.status


if __name__ == "__main__":
    sys.exit(main())
