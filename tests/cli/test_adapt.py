"""`llm4rec adapt`: what is learned from events, and that none of it is lost or learned twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole import checkpoints
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.components.adaptation.adapter import OnlineAdapter
from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter, Journal
from llm4rec_recbole.data import line_reader
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.inference.adaptation_session import with_adaptation_state
from llm4rec_recbole.inference.restore import restore

pytestmark = pytest.mark.usefixtures("own_folder")


def event(user: str, item: str, **others: Any) -> bytes:
    """One line of events, implicit unless `others` say more."""
    fields = {"user": user, "item": item, "kind": "implicit", "time": 2_000_000_000, **others}
    return json.dumps(fields).encode() + b"\n"


# Every user goes on along the other ring; two ratings among it, one of them low.
EVENTS = [event(f"u{n}", f"i{(7 * n + 1) % 40}", time=2_000_000_000 + n) for n in range(8)]
EVENTS[2] = event("u2", "i15", kind="explicit", value=5)
EVENTS[5] = event("u5", "i36", kind="explicit", value=1)


@pytest.fixture
def adapt(adaptive: Path, tmp_path: Path) -> Callable[..., int]:
    def run(folder: str, lines: list[bytes], name: str = "events.jsonl") -> int:
        (tmp_path / name).write_bytes(b"".join(lines))
        given = ["--events", str(tmp_path / name), "--state", str(tmp_path / folder)]
        return llm4rec(["adapt", *given, "--checkpoint", str(adaptive)])

    return run


def learned(folder: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The parameters in a state folder, and the items in its journal."""
    adapter = checkpoints.load(folder / "snapshot.safetensors")["adapter"]
    journal = (folder / "journal.jsonl").read_text().splitlines()
    return adapter["parameters"], [json.loads(line)["entry"]["event"]["item"] for line in journal]


def killed(work: Callable[[], object], owner: type, name: str, call: int) -> int:
    """Do `work` in a process that is killed at the `call`-th call of a method; how it ended."""
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        real, calls = getattr(owner, name), []

        def counted(*given: object) -> object:
            calls.append(given)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given)

        setattr(owner, name, counted)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_and_started_again_it_loses_no_event_and_repeats_none(adapt, tmp_path) -> None:
    assert adapt("whole", EVENTS) == 0
    kills = [
        (OnlineAdapter, "update", 3),
        (Journal, "append", 3),
        (CrashSafeAdapter, "snapshot", 1),
    ]
    for owner, name, call in kills:
        ended = killed(lambda: adapt("killed", EVENTS), owner, name, call)
        assert ended == -signal.SIGKILL, name
    assert adapt("killed", EVENTS) == 0
    whole, items = learned(tmp_path / "whole")
    resumed, resumed_items = learned(tmp_path / "killed")
    assert resumed_items == items == [json.loads(line)["item"] for line in EVENTS]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_bad_lines_are_reported_with_their_numbers_and_the_rest_is_learned(
    adapt, tmp_path, capsys
) -> None:
    mixed = [
        EVENTS[0],
        b"oops\n",
        event("nobody", "i3"),
        event("u1", "[PAD]"),
        event("lonely", "i1"),
        EVENTS[1],
    ]
    assert adapt("mixed", mixed) == 0
    out, err = capsys.readouterr()
    reported = err.splitlines()
    assert reported[0].startswith("line 2: this is not JSON")
    assert reported[1:] == [
        "line 3: no user 'nobody' in two_cycles",
        "line 4: no item '[PAD]' in two_cycles",
        "line 5: user 'lonely' has no other item in the history",
    ]
    assert "with 0 events\nlearned 2 events, skipped 4 bad lines\nmean loss of an event:" in out
    adapt("clean", EVENTS[:2])
    mixed_parameters, clean = learned(tmp_path / "mixed")[0], learned(tmp_path / "clean")[0]
    assert all(torch.equal(mixed_parameters[name], clean[name]) for name in clean)


def test_started_again_with_a_longer_file_it_learns_what_is_new(adapt, tmp_path, capsys) -> None:
    adapt("grown", EVENTS[:5])
    adapt("grown", EVENTS)
    assert "with 5 events\nlearned 3 events" in capsys.readouterr().out
    adapt("grown", EVENTS)
    assert "with 8 events\nlearned 0 events" in capsys.readouterr().out
    assert len(learned(tmp_path / "grown")[1]) == 8


def test_a_renamed_project_folder_learns_nothing_twice(adapt, tmp_path, capsys) -> None:
    (tmp_path / "project").mkdir()
    adapt("state", EVENTS[:5], "project/events.jsonl")
    (tmp_path / "project").rename(tmp_path / "renamed")
    adapt("state", EVENTS, "renamed/events.jsonl")
    out, err = capsys.readouterr()
    assert "with 5 events\nlearned 3 events" in out
    old, new = (str(tmp_path / name / "events.jsonl") for name in ("project", "renamed"))
    assert err.startswith(f"{new} begins as {old}, whose events were learned up to line 5")
    assert len(learned(tmp_path / "state")[1]) == 8


def test_a_damaged_journal_is_one_line(adapt, tmp_path, capsys) -> None:
    adapt("state", EVENTS[:3])
    journal = tmp_path / "state" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"u1"', b'"u4"'))
    capsys.readouterr()
    assert adapt("state", EVENTS) == 2
    assert capsys.readouterr().err == f"llm4rec adapt: {journal}:2: the journal is damaged here\n"


def test_a_stream_without_line_ends_is_refused(adaptive, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(line_reader, "MAX_LINE", 1 << 16)
    options = ["--events", "/dev/zero", "--state", str(tmp_path / "state")]
    assert llm4rec(["adapt", *options, "--checkpoint", str(adaptive)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("llm4rec adapt: /dev/zero:1: a line longer than")
    assert err.count("\n") == 1


def test_an_update_makes_what_was_chosen_likelier(adapt, capsys) -> None:
    adapt("one", EVENTS[:4])
    line = capsys.readouterr().out.splitlines()[-1]
    before, after = (float(line.split()[n]) for n in (5, 9))
    assert after < before


def test_what_was_learned_is_recommended_from(adapt, adaptive, tmp_path, capsys) -> None:
    adapt("state", [event("lonely", f"i{n}") for n in range(2, 12)])
    arguments = ["recommend", "--user", "lonely", "-k", "40", "--checkpoint", str(adaptive)]
    lists = []
    for more in ([], ["--state", str(tmp_path / "state")]):
        capsys.readouterr()
        assert llm4rec([*arguments, *more]) == 0
        lists.append([row.split()[1] for row in capsys.readouterr().out.splitlines()[2:]])
    before, after = lists
    seen = {f"i{n}" for n in range(2, 12)}
    assert len(before) == 39
    assert seen <= set(before)
    assert set(after) == set(before) - seen


def test_the_state_holds_the_data_set_and_then_the_events(adapt, adaptive, tmp_path) -> None:
    adapt("state", [event("u3", "i1"), event("u3", "i1"), event("u3", "i2")])
    model = restore(adaptive)
    known = with_adaptation_state(model, tmp_path / "state").user_history("u3")
    row = np.flatnonzero(model.user_tokens[model.test.users] == "u3")[0]
    span = slice(model.test.indptr[row], model.test.indptr[row + 1])
    held = [*model.test.items[span], model.test.targets[row]]
    new = [model.item_number(item) for item in ("i1", "i2")]
    assert known.items.tolist() == held + [item for item in new if item not in held]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--model", "EASE"], "EASE does not learn from single events (EnhancedGenRec with"),
        (["--events", "gone"], "gone: cannot read the events: No such file"),
    ],
)
def test_bad_input_is_one_line(given, line, trained_options, tmp_path, capsys) -> None:
    (tmp_path / "events").write_bytes(EVENTS[0])
    data_options = [
        "--dataset",
        "two_cycles",
        "--checkpoint_dir",
        trained_options["checkpoint_dir"],
    ]
    assert llm4rec(["adapt", "--events", str(tmp_path / "events"), *data_options, *given]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / "work").exists()  # nothing was begun


def test_a_folder_of_another_model_is_refused(adapt, adaptive, tmp_path, capsys) -> None:
    adapt("state", EVENTS[:1])
    file = tmp_path / "state" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"checkpoint_sha256": "0"}))
    assert adapt("state", EVENTS[:1]) == 2
    assert "another model" in capsys.readouterr().err
    with pytest.raises(InputError, match="nothing that `llm4rec adapt` wrote"):
        with_adaptation_state(restore(adaptive), tmp_path / "empty")


@pytest.mark.parametrize("command", ["adapt", "replay"])
def test_help_is_light(command: str) -> None:
    code = f"""
import sys
from llm4rec_recbole.cli.run import llm4rec
try:
    llm4rec([{command!r}, "--help"])
except SystemExit as end:
    assert not end.code
assert not {{"torch", "recbole", "pandas"}} & set(sys.modules), "heavy"
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--checkpoint_dir" in out.stdout
