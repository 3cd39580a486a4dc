"""Killed at any point, an adapter goes on without losing an event or learning one twice."""

import errno
import json
import math
import os
import signal

import pytest
import torch
from torch import nn
from torch.nn import functional

from llm4rec_recbole.components.adaptation.adapter import (
    AdaptationSettings,
    EventLoss,
    OnlineAdapter,
)
from llm4rec_recbole.components.adaptation.events import BadLine, Event
from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter, Journal
from llm4rec_recbole.errors import InputError

N = 12
LINES = [
    json.dumps({"user": k % 3, "item": (5 * k) % 7, "kind": "implicit", "time": k}).encode() + b"\n"
    for k in range(N)
]


class Recommender:
    """Three users, seven items; a user's history is part of what is foretold from."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Linear(10, 7).double()
        self.history = []

    def loss(self, event):
        x = torch.zeros(10, dtype=torch.float64)
        x[int(event.user)] = 1
        for seen in self.history[-2:]:
            x[3 + int(seen.item)] += 1
        target = torch.tensor(int(event.item))
        return EventLoss(functional.cross_entropy(self.model(x), target), event.kind, math.log(7))

    def check(self, event):
        if not event.user.isdigit() or int(event.user) > 2:
            raise InputError(f"there is no user {event.user}")

    def durable(self, folder, settings=None, snapshot_every=4):
        settings = settings or AdaptationSettings(rate=0.1, update_fraction=0.5)
        adapter = OnlineAdapter(self.model, self.loss, settings)
        return CrashSafeAdapter(
            adapter,
            folder,
            check=self.check,
            observe=self.history.append,
            snapshot_every=snapshot_every,
        )


def learn(folder, lines=LINES, source="events", **options):
    """Feed all `lines` to a fresh recommender; it, and what was told of each line."""
    recommender = Recommender()
    with recommender.durable(folder, **options) as durable:
        told = list(durable.feed(lines, source))
    return recommender, told


def same(a, b):
    assert a.history == b.history
    for ours, theirs in zip(a.model.parameters(), b.model.parameters()):
        assert torch.equal(ours, theirs)


def in_child(work):
    """Run `work` in a process of its own; the signal that ended it, 0 if none did."""
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("snapshot_every", [1, 4, 100])
@pytest.mark.parametrize("place", ["append", "update", "observe", "snapshot"])
def test_killed_anywhere_and_resumed_it_ends_with_the_same_bits(tmp_path, place, snapshot_every):
    """Every run is killed at its fourth call of `place`, until one comes to the end."""
    whole, _ = learn(tmp_path / "whole", snapshot_every=snapshot_every)
    folder = tmp_path / "killed"

    def run():
        recommender = Recommender()
        with recommender.durable(folder, snapshot_every=snapshot_every) as durable:
            owners = {
                "append": (durable.journal, "append"),
                "update": (durable.adapter, "update"),
                "observe": (durable, "_observe"),
                "snapshot": (durable, "snapshot"),
            }
            owner, name = owners[place]
            real, calls = getattr(owner, name), []

            def counted(*given):
                calls.append(given)
                if len(calls) == 4:
                    die()
                return real(*given)

            setattr(owner, name, counted)
            list(durable.feed(LINES, "events"))

    ends = [in_child(run) for _ in range(6)]
    assert ends[-1] == 0
    only_snapshot_is_the_last = place == "snapshot" and snapshot_every == 100
    assert (-signal.SIGKILL in ends) != only_snapshot_is_the_last
    resumed, told = learn(folder, snapshot_every=snapshot_every)
    assert told == []  # nothing is left to learn
    same(resumed, whole)
    assert [event.time for event in resumed.history] == list(range(N))


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_an_entry_torn_in_the_middle_is_read_again_from_the_source(tmp_path, kept):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "torn", LINES[:6], snapshot_every=100)
    (tmp_path / "torn" / "snapshot.safetensors").unlink()  # as if killed before it
    journal = tmp_path / "torn" / "journal.jsonl"
    *entries, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(entries) + last[:kept])
    resumed, told = learn(tmp_path / "torn")
    assert [number for number, _ in told] == list(range(6, N + 1))
    same(resumed, whole)


def test_a_file_that_grew_is_read_on(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "grown", [*LINES[:5], LINES[5][:20]])  # its last line is half written
    grown, told = learn(tmp_path / "grown")
    assert [number for number, _ in told] == list(range(6, N + 1))
    same(grown, whole)


def test_a_streams_lines_are_all_new(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "stream", LINES[:5], source=None)
    resumed, told = learn(tmp_path / "stream", LINES[5:], source=None)
    assert [number for number, _ in told] == list(range(1, N - 4))
    same(resumed, whole)


def test_bad_lines_and_unknown_users_are_told_and_skipped(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    stranger = LINES[0].replace(b'"user": 0', b'"user": 9')
    mixed = [b"oops\n", *LINES[:3], stranger, *LINES[3:]]
    found, told = learn(tmp_path / "mixed", mixed)
    bad = [str(each) for _, each in told if isinstance(each, BadLine)]
    assert len(told) == N + 2
    assert bad[0].startswith("line 1: this is not JSON")
    assert bad[1:] == ["line 5: there is no user 9"]
    same(found, whole)
    assert learn(tmp_path / "mixed", mixed)[1] == []


def test_an_event_that_breaks_the_loss_is_told_and_stays_observed(tmp_path):
    class Broken(Recommender):
        def loss(self, event):
            judged = super().loss(event)
            return judged._replace(loss=judged.loss * (math.nan if event.time == 3 else 1))

    for again in range(2):
        recommender = Broken()
        with recommender.durable(tmp_path, snapshot_every=100) as durable:
            told = list(durable.feed(LINES, "events"))
        if not again:
            assert [n for n, each in told if isinstance(each, BadLine)] == [4]
            (tmp_path / "snapshot.safetensors").unlink()
            first = recommender
    same(first, recommender)
    assert len(first.history) == N


@pytest.mark.parametrize("changed", [LINES[:3], [*LINES[:4], LINES[7]], LINES[1:]])
def test_a_file_that_changed_is_told(tmp_path, changed):
    learn(tmp_path, LINES[:5])
    with pytest.raises(InputError, match="events:5: changed since it was read"):
        learn(tmp_path, changed)


def test_a_folder_in_use_is_told(tmp_path):
    with (
        Recommender().durable(tmp_path),
        pytest.raises(InputError, match="another process is using it"),
    ):
        Recommender().durable(tmp_path)
    Recommender().durable(tmp_path).close()


def test_a_snapshot_of_other_settings_is_told(tmp_path):
    learn(tmp_path)
    with pytest.raises(InputError, match=r"snapshot.safetensors: .*other settings"):
        learn(tmp_path, settings=AdaptationSettings(rate=0.5))
    learn(tmp_path)  # and the folder was released


def test_a_damaged_journal_is_told_by_its_line(tmp_path):
    learn(tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], b"rot\n", *lines[3:]]))
    with pytest.raises(InputError, match=r"journal.jsonl:3: the journal is damaged here"):
        learn(tmp_path)


def test_a_journal_that_lost_entries_is_told(tmp_path):
    learn(tmp_path)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match="older than the snapshot"):
        learn(tmp_path)


@pytest.mark.parametrize("written", [0, 10])
def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path, monkeypatch, written):
    journal = Journal(tmp_path / "journal.jsonl")
    event = Event("1", "2", "implicit", 1.0, 3.0)
    journal.append(None, 1, event)
    before, write = journal.path.read_bytes(), os.write

    def full(handle, data):
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[:written])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"space|a part of the entry"):
        journal.append(None, 2, event)
    monkeypatch.undo()
    assert journal.path.read_bytes() == before
    journal.append(None, 2, event)
    assert [entry.line for entry in journal.entries()] == [1, 2]
    assert (len(journal), journal.last(None).line, journal.last("other")) == (2, 2, None)
