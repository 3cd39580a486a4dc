"""The pipeline under DVC: what is redone, what survives a kill, what a failure stops."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.helpers.checkout import TOP, Checkout, wait_until

ALL = ["BPR", "Pop", "SASRec"]


def test_second_repro_runs_nothing(checkout: Checkout) -> None:
    checkout.dvc("repro")
    assert sorted(checkout.ran()) == ALL
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]
    checkout.dvc("repro")
    assert sorted(checkout.ran()) == ALL
    assert checkout.status() == "3 of 3 runs done; nothing left\n"


def test_failed_run_stops_no_other_is_named_and_is_retried(checkout: Checkout) -> None:
    fail = checkout.control("fail_BPR")
    checkout.make_repro(code=2)
    assert sorted(checkout.ran()) == ALL
    assert checkout.table() == ["methods: Pop SASRec", "failed: ml-100k.loo.BPR.seed_0"]
    status = checkout.status(code=1)
    assert status.startswith("2 of 3 runs done, 1 failed; nothing left\n")
    assert "failed   ml-100k loo BPR seed 0: BPR cannot be trained\n" in status
    fail.unlink()
    checkout.make_repro()
    assert sorted(checkout.ran()) == ["BPR", *ALL]
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]


@pytest.mark.parametrize("whole_group", [True, False], ids=["all killed", "only DVC killed"])
def test_rerun_after_kill_repeats_no_finished_run(checkout: Checkout, whole_group: bool) -> None:
    hold = checkout.control("hold_BPR")
    first = checkout.start("dvc", "repro")
    wait_until(lambda: "BPR" in checkout.ran())
    finished = [method for method in checkout.ran() if method != "BPR"]
    if whole_group:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        hold.unlink()
        checkout.dvc("repro")
        assert sorted(checkout.ran()) == ["BPR", *ALL]
    else:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = checkout.start("dvc", "repro")
        output = checkout.read_until(second, "runs it already; waiting for it")
        assert "1 running" in checkout.status()
        hold.unlink()
        output += second.communicate(timeout=300)[0]
        assert second.returncode == 0, output
        assert "done by the process that was waited for" in output
        assert sorted(checkout.ran()) == ALL
    assert all(checkout.ran().count(method) == 1 for method in finished)
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]


def test_in_a_fresh_clone_nothing_is_left_to_do(checkout: Checkout, tmp_path: Path) -> None:
    """Git holds every output; tables and report are made again without training."""
    ours = {"deterministic": ["Pop"], "ours": ["EnhancedGenRec"]}
    checkout.write_params(methods=ours, explained=["EnhancedGenRec"])
    checkout.dvc("repro")
    checkout.commit()
    clone = checkout.clone(tmp_path.with_name(f"{tmp_path.name}-clone"))
    assert clone.dvc("status") == "Data and pipelines are up to date.\n"
    clone.dvc("repro")
    clone.dvc("repro", "--single-item", "--force", "compare", "tables", "report")
    assert clone.ran() == []
    assert clone.run("git", "status", "--porcelain") == ""
    assert clone.status() == "2 of 2 runs done; nothing left\n"


def test_what_reads_a_checkpoint_trains_it_again_where_it_is_absent(
    checkout: Checkout, tmp_path: Path
) -> None:
    ours = {"deterministic": ["Pop"], "ours": ["EnhancedGenRec"]}
    checkout.write_params(methods=ours, explained=["EnhancedGenRec"])
    checkout.dvc("repro")
    checkout.commit()
    clone = checkout.clone(tmp_path.with_name(f"{tmp_path.name}-clone"))
    name = "@ml-100k-loo-EnhancedGenRec"
    output = clone.dvc("repro", "--single-item", "--force", f"showcase{name}", f"replay{name}")
    assert clone.ran() == ["EnhancedGenRec"]  # once for both
    assert "has no checkpoint of its record" in output
    assert "all metrics equal those of the committed record" in output
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_sum_trains_a_reference_again_where_its_checkpoint_is_absent(
    checkout: Checkout, tmp_path: Path
) -> None:
    methods = {
        "deterministic": ["RecencyEASE", "SLIST"],
        "baseline": ["BERT4Rec", "SASRec"],
        "ours": ["EnhancedGenRec"],
        "nulls": ["SLIST-online"],
        "sums": ["SASRec+RecencyEASE"],
    }
    checkout.write_params(methods=methods)
    checkout.dvc("repro")
    assert sorted(checkout.ran()) == sorted(name for names in methods.values() for name in names)
    checkout.commit()
    clone = checkout.clone(tmp_path.with_name(f"{tmp_path.name}-clone"))
    stage = "train_sums@ml-100k-loo-SASRec+RecencyEASE-0"
    for again in (["SASRec"], []):  # its checkpoint then stays
        before = len(clone.ran())
        clone.dvc("repro", "--single-item", "--force", stage)
        assert clone.ran()[before:] == [*again, "SASRec+RecencyEASE"]
    assert clone.run("git", "status", "--porcelain", "results/runs/ml-100k/loo/SASRec") == ""


def test_changed_scale_repeats_every_run(checkout: Checkout) -> None:
    checkout.dvc("repro")
    checkout.write_params(scale="laptop")
    assert checkout.status().startswith("0 of 3 runs done; about ")
    checkout.dvc("repro")
    assert len(checkout.ran()) == 6


@pytest.mark.slow
def test_the_smoke_scale_leaves_the_committed_records_alone(checkout: Checkout) -> None:
    checkout.write_params(scale="laptop")
    checkout.dvc("repro")
    checkout.write_params()
    checkout.commit()
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(TOP / name, checkout.folder)
    (checkout.folder / "environment").mkdir()
    for name in ("locked", "ready"):  # in this order: no package is installed
        (checkout.folder / "environment" / name).touch()
    checkout.run("make", "repro", "VENV=environment")
    assert checkout.run("git", "status", "--porcelain", "--", "results", "dvc.lock") == ""
    record = checkout.folder / "work/smoke/results/runs/ml-100k/loo/Pop/seed_0.json"
    assert record.is_file()


def test_tables_are_made_though_every_run_failed(checkout: Checkout) -> None:
    checkout.write_params(methods={"baseline": ["BPR"]})
    checkout.control("fail_BPR")
    checkout.make_repro(code=2)
    assert checkout.table() == ["methods:", "failed: ml-100k.loo.BPR.seed_0"]


@pytest.mark.slow
def test_the_report_has_what_is_made_of_the_first_seeds_checkpoint(checkout: Checkout) -> None:
    ours = {"ours": ["EnhancedGenRec"]}
    checkout.write_params(methods=ours, explained=["EnhancedGenRec"], seeds=[3, 4])
    kinds = ("explanations", "faithfulness", "replay")
    files = [f"results/{kind}/ml-100k/loo/EnhancedGenRec/seed_3.json" for kind in kinds]
    report = checkout.folder / "results" / "report.html"
    fail = checkout.control("fail_EnhancedGenRec")
    checkout.make_repro(code=2)
    assert report.read_text() == ""
    fail.unlink()
    checkout.make_repro()
    assert report.read_text().split() == ["EnhancedGenRec", "EnhancedGenRec", *files]
    assert {(checkout.folder / path).read_text() for path in files} == {"EnhancedGenRec 3"}
    assert "2 of 2 runs done" in checkout.status()


def test_git_sees_records_and_tables_and_no_ignore_file_of_dvcs(checkout: Checkout) -> None:
    """After a failed stage DVC takes its own .gitignore entries back (DVC #11091)."""
    checkout.control("fail_BPR")
    checkout.make_repro(code=2)
    changed = checkout.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    paths = {line[3:] for line in changed}
    tables = {
        f"paper_tables/table_{n}.{kind}" for n in range(1, 6) for kind in ("md", "tex", "csv")
    }
    tables |= {f"paper_tables/{n}" for n in ("claims.md", "claims.csv", "answer.md", "summary.md")}
    tables |= {f"paper_tables/table_1_data_sets.{kind}" for kind in ("md", "tex", "csv")}
    tables |= {"paper_tables/experiments.md", "paper_tables/answer_data_sets.md"}
    tables.add("paper_tables/few_interactions.md")
    records = {f"results/runs/ml-100k/loo/{method}/seed_0.json" for method in ("Pop", "SASRec")}
    metrics = {f"results/metrics/ml-100k.loo.{method}.json" for method in ("Pop", "SASRec")}
    names = ("comparisons.csv", "report.html", "rankings.svg")
    results = {f"results/{name}" for name in names}
    users = {f"results/users/ml-100k/loo/{method}/seed_0.parquet" for method in ("Pop", "SASRec")}
    summaries = {"results/data/ml-100k.json", "results/encoded/ml-100k.json"}
    assert paths == {"dvc.lock"} | results | tables | records | metrics | users | summaries


@pytest.mark.parametrize("start", [["repro"], ["exp", "run", "-S", "scale=smoke"]])
def test_a_smoke_run_beside_committed_records_is_refused(
    start: list[str], checkout: Checkout
) -> None:
    checkout.write_params(scale="laptop", methods={"baseline": ["BPR"]})
    checkout.dvc("repro")
    checkout.commit()
    if start == ["repro"]:
        checkout.write_params(scale="smoke", methods={"baseline": ["BPR"]})
    output = checkout.dvc(*start, code=255)
    assert "scale smoke would replace the records of scale laptop in results/ (make smoke" in output
    assert checkout.ran() == ["BPR"]
    assert checkout.run("git", "status", "--porcelain", "--", "results", "dvc.lock") == ""
