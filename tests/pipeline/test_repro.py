"""The pipeline under DVC: what is redone, what survives a kill, what a failure stops."""

from __future__ import annotations

import os
import signal

import pytest
from scratch import Checkout, wait_until

ALL = ["BPR", "Pop", "SASRec"]


def test_second_repro_runs_nothing(checkout: Checkout) -> None:
    checkout.dvc("repro")
    assert sorted(checkout.ran()) == ALL
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]
    checkout.dvc("repro")
    assert sorted(checkout.ran()) == ALL
    assert checkout.module("status") == "3 of 3 cells done; nothing left\n"


def test_failed_cell_stops_no_other_is_named_and_is_retried(checkout: Checkout) -> None:
    fail = checkout.tell("fail_BPR")
    checkout.make_repro(code=2)
    assert sorted(checkout.ran()) == ALL
    assert checkout.table() == ["methods: Pop SASRec", "failed: ml-100k.loo.BPR.seed_0"]
    status = checkout.module("status", code=1)
    assert status.startswith("2 of 3 cells done, 1 failed; nothing left\n")
    assert "failed   ml-100k loo BPR seed 0: BPR cannot be trained\n" in status
    fail.unlink()
    checkout.make_repro()
    assert sorted(checkout.ran()) == ["BPR", *ALL]
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]


@pytest.mark.parametrize("whole_group", [True, False], ids=["all killed", "only DVC killed"])
def test_rerun_after_kill_redoes_no_finished_cell(checkout: Checkout, whole_group: bool) -> None:
    hold = checkout.tell("hold_BPR")
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
        assert "1 running" in checkout.module("status")
        hold.unlink()
        output += second.communicate(timeout=300)[0]
        assert second.returncode == 0, output
        assert "done by the process that was waited for" in output
        assert sorted(checkout.ran()) == ALL
    assert all(checkout.ran().count(method) == 1 for method in finished)
    assert checkout.table() == ["methods: BPR Pop SASRec", "failed:"]


@pytest.mark.slow
def test_changed_scale_reruns_every_cell_from_the_cache_where_it_can(checkout: Checkout) -> None:
    checkout.dvc("repro")
    checkout.write_params(scale="laptop")
    assert checkout.module("status").startswith("0 of 3 cells done; about ")
    checkout.dvc("repro")
    assert len(checkout.ran()) == 6
    checkout.write_params(scale="smoke")
    checkout.dvc("repro")
    assert len(checkout.ran()) == 6


def test_tables_are_made_though_every_cell_failed(checkout: Checkout) -> None:
    checkout.write_params(methods={"exact": [], "trained": ["BPR"], "generative": [], "ours": []})
    checkout.tell("fail_BPR")
    checkout.make_repro(code=2)
    assert checkout.table() == ["methods:", "failed: ml-100k.loo.BPR.seed_0"]


def test_the_report_has_what_the_first_seeds_checkpoint_is_asked(checkout: Checkout) -> None:
    ours = {"exact": [], "trained": [], "generative": [], "ours": ["EnhancedGenRec"]}
    checkout.write_params(methods=ours, explained=["EnhancedGenRec"], seeds=[3, 4])
    asked = ("explanations", "faithfulness", "replay")
    files = [f"results/{kind}/ml-100k/loo/EnhancedGenRec/seed_3.json" for kind in asked]
    report = checkout.folder / "results" / "report.html"
    fail = checkout.tell("fail_EnhancedGenRec")
    checkout.make_repro(code=2)
    assert report.read_text() == ""
    fail.unlink()
    checkout.make_repro()
    assert report.read_text().split() == ["EnhancedGenRec", "EnhancedGenRec", *files]
    assert {(checkout.folder / path).read_text() for path in files} == {"EnhancedGenRec 3"}
    assert "2 of 2 cells done" in checkout.module("status")


def test_git_sees_records_and_tables_and_no_ignore_file_of_dvcs(checkout: Checkout) -> None:
    """After a failed stage DVC takes its own .gitignore entries back (DVC #11091)."""
    checkout.tell("fail_BPR")
    checkout.make_repro(code=2)
    changed = checkout.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    paths = {line[3:] for line in changed if not line[3:].startswith("stub/")}
    tables = {
        f"paper_tables/table_{n}.{kind}" for n in range(1, 6) for kind in ("md", "tex", "csv")
    }
    tables |= {"paper_tables/claims.md", "paper_tables/claims.csv"}
    tables |= {f"paper_tables/table_1_data_sets.{kind}" for kind in ("md", "tex", "csv")}
    records = {f"results/runs/ml-100k/loo/{method}/seed_0.json" for method in ("Pop", "SASRec")}
    metrics = {f"results/metrics/ml-100k.loo.{method}.json" for method in ("Pop", "SASRec")}
    names = ("comparisons.csv", "fairness_null.csv", "report.html", "rankings.svg")
    results = {f"results/{name}" for name in names}
    assert paths == {"dvc.lock"} | results | tables | records | metrics
