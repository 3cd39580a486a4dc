"""Stands for the commands of the pipeline: quick, and controlled by files in fake/."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

CONTROL = Path("fake")
EXPLAINED = ("explanations", "faithfulness", "replay")


def run(arguments: list[str]) -> int:
    options = dict(argument[2:].split("=", 1) for argument in arguments)
    method, seed = options["model"], options["seed"]
    place = Path(options["dataset"], options["protocol"], method, f"seed_{seed}")
    CONTROL.mkdir(exist_ok=True)
    with open(CONTROL / "log", "a") as log:
        log.write(f"{method} {seed}\n")
    while (CONTROL / f"hold_{method}").exists():
        time.sleep(0.01)
    print("a warning", file=sys.stderr)
    if (CONTROL / f"fail_{method}").exists():
        print(f"error: {method} cannot be trained", file=sys.stderr)
        return 2
    users = (Path(options["results_dir"]) / "users" / place).with_suffix(".parquet")
    record = (Path(options["results_dir"]) / "runs" / place).with_suffix(".json")
    for path in (users, record):
        path.parent.mkdir(parents=True, exist_ok=True)
    users.write_text(f"{method} {seed}")
    content = {
        "dataset": options["dataset"],
        "protocol": options["protocol"],
        "method": method,
        "seed": int(seed),
        "metrics": {
            "valid": {"ndcg@10": 0.125},
            "test": {"full": {"hit@10": 0.5, "ndcg@10": len(method) / 100}},
        },
        "cost": {"train_seconds": 7.0},
    }
    record.write_text(json.dumps(content))
    folder = Path(options["checkpoint_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{time.time_ns()}.safetensors").write_text(f"{method} {seed}")
    return 0


def showcase(arguments: list[str], kind: str = "explanations") -> int:
    place = Path(arguments[arguments.index("--checkpoint_dir") + 1])
    (checkpoint,) = place.glob("*.safetensors")
    path = Path("results", kind, *place.parts[2:]).with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(checkpoint.read_text())
    return 0


def faithfulness(arguments: list[str]) -> int:
    return showcase(arguments, "faithfulness")


def replay(arguments: list[str]) -> int:
    return showcase(arguments, "replay")


def prepare(arguments: list[str]) -> int:
    path = Path(arguments[arguments.index("--summary") + 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"sha256": {}}')
    return 0


def encode_items(arguments: list[str]) -> int:
    return prepare(arguments)


def report(arguments: list[str]) -> int:
    for name in ("report.html", "rankings.svg"):
        files = [path for kind in EXPLAINED for path in Path("results", kind).rglob("*.json")]
        Path("results", name).write_text(" ".join([*_methods(), *map(str, sorted(files))]))
    return 0


def compare(arguments: list[str]) -> int:
    Path("results/comparisons.csv").write_text("\n".join(_methods()))
    return 0


def tables(arguments: list[str]) -> int:
    failures = sorted(path.stem for path in Path("work/failures").glob("*"))
    names = [f"table_{n}.{kind}" for n in range(1, 6) for kind in ("md", "tex", "csv")]
    for name in [*names, "claims.md", "claims.csv", "answer.md", "summary.md"]:
        Path("paper_tables", name).write_text(
            f"methods: {' '.join(_methods())}\nfailed: {' '.join(failures)}\n"
        )
    return 0


def dataset_table(arguments: list[str]) -> int:
    tables = [f"table_1_data_sets.{kind}" for kind in ("md", "tex", "csv")]
    for name in [*tables, "answer_data_sets.md", "experiments.md", "few_interactions.md"]:
        Path("paper_tables", name).write_text(" ".join(_methods()))
    return 0


def _methods() -> list[str]:
    return sorted(path.parts[-2] for path in Path("results/runs").rglob("*.json"))


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](sys.argv[2:]))
