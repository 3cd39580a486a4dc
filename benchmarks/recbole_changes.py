"""`python -m benchmarks.recbole_changes`: how far each patch of RecBole moves RecBole's metrics.

Each case trains a RecBole model under RecBole's own protocol twice, with a patch and without it, on
the interactions of the first users of ml-100k. Writes docs/recbole_changes.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import table
from llm4rec_recbole.files import write_atomically

PAGE = Path("docs/recbole_changes.md")
USERS = 200  # of ml-100k
COMMON = {
    "protocol": "recbole",
    "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
    "show_progress": False,
    "quiet": True,
    "num_threads": 1,
    "metric_decimal_place": 12,
}
SHORT = {"epochs": 2, "eval_step": 1, "train_batch_size": 512}
POPULAR = {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1}}
COVERAGE = {"metrics": ["NDCG", "ItemCoverage"], "topk": [10], "valid_metric": "NDCG@10"}


class Case(NamedTuple):
    """A patch, and a run of RecBole's that it concerns."""

    patch: str
    where: str  # the file that holds the patch
    model: str
    options: dict[str, Any]
    moves: bool  # whether the metrics are expected to change, to the last bit


CASES = (
    Case("draw_no_negatives_for_cross_entropy", "changes_results", "GRU4Rec", SHORT, True),
    Case("count_every_interaction", "changes_results", "Pop", {}, True),
    Case("validate_after_the_only_epoch", "changes_results", "EASE", {"eval_step": 2}, True),
    Case("fuse_attention", "changes_results", "SASRec", SHORT, True),
    Case("fuse_optimizers", "changes_results", "BPR", SHORT, False),
    Case("skip_non_tensor_stats", "changes_results", "BPR", SHORT | COVERAGE, True),
    Case("break_ties_randomly", "changes_results", "Pop", {}, True),
    Case("fuse_gelu", "same_results", "SASRec", SHORT, False),
    Case("propagate_in_csr", "same_results", "LightGCN", SHORT, False),
    Case("disable_anomaly_detection", "same_results", "BPR", SHORT, False),
    Case("metrics_as_floats", "same_results", "BPR", SHORT, False),
    Case("name_checkpoints_uniquely", "no_code_execution", "BPR", SHORT, False),
    Case("sample_from_training", "recbole_plugin/sampling", "BPR", SHORT | POPULAR, True),
    Case("train_bert4rec_on_windows", "recbole_plugin/extensions", "BERT4Rec", SHORT, False),
    Case("exact_times", "recbole_plugin/reading", "SASRec", SHORT, True),
    Case("ByteDropout", "training/trainer", "SASRec", SHORT, True),
)

WORKER = """
import json, sys
request = json.load(sys.stdin)
import llm4rec_recbole
from llm4rec_recbole.recbole_compat import import_hook
import_hook.DISABLED.update(request["disabled"])
from recbole.quick_start import run_recbole
if "ByteDropout" in request["disabled"]:
    from llm4rec_recbole.training import trainer
    trainer.use_byte_dropout = lambda model: None
try:
    result = run_recbole(request["model"], request["dataset"], config_dict=request["options"])
    metrics = {"test": dict(result["test_result"]), "valid": dict(result["best_valid_result"])}
except Exception as error:
    metrics = {"error": type(error).__name__}
print(json.dumps(metrics))
"""


def cut(folder: Path, users: int) -> Path:
    """A data folder with `cut`: the interactions of the first `users` users of ml-100k."""
    from llm4rec_recbole.registry import recbole_folder

    source = recbole_folder() / "dataset_example/ml-100k/ml-100k.inter"
    head, *rows = source.read_text(encoding="utf-8").splitlines()
    names = {str(number) for number in range(1, users + 1)}
    chosen = [row for row in rows if row.split("\t")[0] in names]
    path = folder / "cut" / "cut.inter"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([head, *chosen]) + "\n", encoding="utf-8")
    return folder


def metrics_of(case: Case, data: Path, without: bool) -> dict[str, Any]:
    """Test and validation metrics of the case's run, or {"error": the exception's name}."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"data_path": str(data), "checkpoint_dir": folder, "results_dir": folder}
        request = {
            "disabled": [case.patch] if without else [],
            "model": case.model,
            "dataset": "cut",
            "options": COMMON | case.options | own,
        }
        answer = subprocess.run(
            [sys.executable, "-c", WORKER],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
    return json.loads(answer.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def row(case: Case, data: Path) -> tuple[list[str], bool]:
    """The case as a row of the page, and whether its metrics moved."""
    before, after = metrics_of(case, data, without=True), metrics_of(case, data, without=False)
    return [
        f"`{case.patch}`",
        case.where,
        case.model,
        _shown(before),
        _shown(after),
        "yes" if before != after else "no",
    ], before != after


def _shown(metrics: dict[str, Any]) -> str:
    if "error" in metrics:
        return "fails"
    if not metrics["valid"]:
        return f"{metrics['test']['ndcg@10']:.4f}, not validated"
    return f"{metrics['test']['ndcg@10']:.4f}"


def render(rows: Sequence[list[str]], users: int) -> str:
    """The page."""
    header = ["patch", "file", "model", "without: NDCG@10", "with", "moves a metric"]
    return "\n\n".join(
        [
            "# What the patches change in RecBole's results",
            "`python -m benchmarks.recbole_changes` writes this page. Each row trains a RecBole "
            "model under `--protocol=recbole`, once without the patch and once with it. The data "
            f"are the first {users} users of ml-100k, for two epochs, with seed 0 and one thread. "
            "The last column compares all validation and test metrics to the last bit.",
            table(header, rows),
            "A test runs the same cases and fails when the last column changes. "
            "`fuse_optimizers` rounds in another order. In two epochs no rank changes; in a longer "
            "training one may. The table leaves out patches that need other hardware: "
            "`respect_use_gpu` needs a GPU, and `evaluate_loaders` and `average_over_users` need "
            "several processes.",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure all cases and write the page; 1 when a case does not do what it is listed for."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recbole_changes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=USERS, help="of ml-100k (%(default)s)")
    parser.add_argument("--output", type=Path, default=PAGE, help="(%(default)s)")
    a = parser.parse_args(arguments)
    rows, wrong = [], []
    with tempfile.TemporaryDirectory() as folder:
        data = cut(Path(folder), a.users)
        for case in CASES:
            cells, moved = row(case, data)
            print(" | ".join(cells), flush=True)
            rows.append(cells)
            wrong += [case.patch] if moved != case.moves else []
    write_atomically(a.output, render(rows, a.users) + "\n")
    if wrong:
        print(f"not as listed: {', '.join(wrong)}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
