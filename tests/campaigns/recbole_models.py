"""Each of RecBole's models, one epoch on a small cut of ml-100k, under each protocol.

    python -m tests.campaigns.recbole_models

A model trains, or ends before training in one line that says what it needs: a package and how to
install it, a file, or an option.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.files import recbole_folder
from llm4rec_recbole.option_readers import model_type
from llm4rec_recbole.registry import MODELS, models
from tests.campaigns.forked import run_in
from tests.campaigns.shop import import_everything

PROTOCOLS = ("recbole", "loo")
N_USERS, N_ITEMS, N_TRIPLES = 60, 200, 4000
_OPTIONS = ["--dataset=cut", "--load_col=~", "--num_threads=1"]
_OPTIONS += ["--show_progress=false", "--train_batch_size=512"]
#: By model or type of model: options without which it says that it needs them, or is slow.
OPTIONS_OF = {
    "NCL": ["--num_clusters=10"],
    "RaCT": ["--pretrain_epochs=1"],
    "S3Rec": ["--pretrain_epochs=1", "--MAX_ITEM_LIST_LENGTH=10"],
    "CONTEXT": ["--threshold={rating: 4}"],
    "DECISIONTREE": ["--threshold={rating: 4}"],
    "SEQUENTIAL": ["--MAX_ITEM_LIST_LENGTH=10"],
}


def models_of_recbole() -> list[str]:
    """The names of RecBole's models, those that this project replaces included."""
    classes = {file.stem: name for name, file in models().items()}
    classes |= {name.lower(): name for name in MODELS}
    files = sorted(recbole_folder().glob("model/*_recommender/*.py"))
    return [classes[file.stem] for file in files if file.stem in classes]


def write_cut(folder: Path) -> None:
    """Write the cut to folder/dataset/cut: `N_USERS` users and `N_ITEMS` items of ml-100k."""
    source, target = recbole_folder() / "dataset_example/ml-100k", folder / "dataset" / "cut"
    target.mkdir(parents=True)
    users = {str(n + 2) for n in range(N_USERS)}  # user 1 has rated all of these items
    items = {str(n + 1) for n in range(N_ITEMS)}

    def copy(suffix: str, chosen, limit: int | None = None) -> list[list[str]]:
        lines = (source / f"ml-100k.{suffix}").read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines[1:] if chosen(line.split("\t"))][:limit]
        text = "\n".join([lines[0], *rows]) + "\n"
        (target / f"cut.{suffix}").write_text(text, encoding="utf-8")
        return [row.split("\t") for row in rows]

    copy("inter", lambda row: row[0] in users and row[1] in items)
    copy("user", lambda row: row[0] in users)
    copy("item", lambda row: row[0] in items)
    entities = {row[1] for row in copy("link", lambda row: row[0] in items)}
    copy("kg", lambda row: row[0] in entities or row[2] in entities, N_TRIPLES)


def attempt(model: str, protocol: str, folder: Path) -> str:
    """ "runs", "needs: <the line>" or "DEFECT: …" for `model` on the cut in `folder`."""
    argv = [f"--model={model}", f"--protocol={protocol}", *_OPTIONS]
    if "--pretrain_epochs=1" not in OPTIONS_OF.get(model, ()):
        argv += ["--epochs=1", "--eval_step=1"]
    argv += OPTIONS_OF.get(model, OPTIONS_OF.get(model_type(model), []))
    outcome = run_in(folder, lambda: run_recbole(argv), seconds=1800)
    lines = [line for line in outcome.stderr.splitlines() if line.startswith("run_recbole: ")]
    if outcome.defect or outcome.status not in (0, 2):
        return f"DEFECT: {outcome.defect or outcome.stderr[-300:]}"
    if outcome.status == 0:
        return "runs"
    if len(lines) != 1 or "train loss" in outcome.stderr:
        return f"DEFECT: refused after training or in {len(lines)} lines: {outcome.stderr[-300:]}"
    line = lines[0].removeprefix("run_recbole: ")
    if not any(need in line for need in ("pip install", "--", "file [")):
        return f"DEFECT: the line names no package, option or file: {line}"
    return f"needs: {line}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run each of RecBole's models for one epoch.")
    parser.add_argument("models", nargs="*", help="names; without any, all")
    chosen = parser.parse_args().models or models_of_recbole()
    sys.argv = sys.argv[:1]

    import_everything()

    ends: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as parent:
        write_cut(Path(parent))
        for protocol in PROTOCOLS:
            for model in chosen:
                ends[model, protocol] = attempt(model, protocol, Path(parent))
                print(f"{model} {protocol}: {ends[model, protocol]}", file=sys.stderr, flush=True)
    print("| protocol | models | run | say what they need | fail |\n|---|---:|---:|---:|---:|")
    for protocol in PROTOCOLS:
        words = [ends[model, protocol].partition(":")[0] for model in chosen]
        counts = [words.count(word) for word in ("runs", "needs", "DEFECT")]
        print(f"| {protocol} | {len(chosen)} | {' | '.join(map(str, counts))} |")
    return int(any(end.startswith("DEFECT") for end in ends.values()))


if __name__ == "__main__":
    sys.exit(main())
