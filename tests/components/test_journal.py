"""Killed at any point, an adapter continues without losing an event or learning one twice."""

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
from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter, Entry, Journal
from llm4rec_recbole.errors import InputError

N = 12
LINES = [
    json.dumps({"user": k % 3, "item": (5 * k) % 7, "kind": "implicit", "time": k}).encode() + b"\n"
    for k in range(N)
]


class Recommender:
    """Three users, seven items; a user's history is part of what the model reads."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Linear(10, 7).double()
        self.history = []
        self.reports = []

    def losses(self, events):
        return [self.loss(event) for event in events]

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

    def adapter(self, folder, settings=None, snapshot_every=4):
        settings = settings or AdaptationSettings(rate=0.1, update_fraction=0.5)
        return CrashSafeAdapter(
            OnlineAdapter(self.model, self.losses, settings),
            folder,
            check=self.check,
            observe=self.history.append,
            report=self.reports.append,
            snapshot_every=snapshot_every,
        )


def learn(folder, lines=LINES, source="events", **options):
    """Feed all `lines` to a fresh recommender; it, and the result of each line."""
    recommender = Recommender()
    with recommender.adapter(folder, **options) as adapter:
        results = list(adapter.feed(lines, source))
    return recommender, results


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
        with recommender.adapter(folder, snapshot_every=snapshot_every) as adapter:
            owners = {
                "append": (adapter.journal, "append"),
                "update": (adapter.adapter, "update"),
                "observe": (adapter, "_observe"),
                "snapshot": (adapter, "snapshot"),
            }
            owner, name = owners[place]
            real, calls = getattr(owner, name), []

            def counted(*given):
                calls.append(given)
                if len(calls) == 4:
                    die()
                return real(*given)

            setattr(owner, name, counted)
            list(adapter.feed(LINES, "events"))

    ends = [in_child(run) for _ in range(6)]
    assert ends[-1] == 0
    only_snapshot_is_the_last = place == "snapshot" and snapshot_every == 100
    assert (-signal.SIGKILL in ends) != only_snapshot_is_the_last
    resumed, results = learn(folder, snapshot_every=snapshot_every)
    assert results == []  # nothing is left to learn
    same(resumed, whole)
    assert [event.time for event in resumed.history] == list(range(N))


@pytest.mark.parametrize("n_bytes", range(1, 60, 7))
def test_an_entry_torn_in_the_middle_is_read_again_from_the_source(tmp_path, n_bytes):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "torn", LINES[:6], snapshot_every=100)
    (tmp_path / "torn" / "snapshot.safetensors").unlink()  # as if killed before it
    journal = tmp_path / "torn" / "journal.jsonl"
    *entries, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(entries) + last[:n_bytes])
    resumed, results = learn(tmp_path / "torn")
    assert [number for number, _ in results] == list(range(6, N + 1))
    same(resumed, whole)


def test_a_file_that_grew_is_read_on(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "grown", [*LINES[:5], LINES[5][:20]])  # its last line is half written
    grown, results = learn(tmp_path / "grown")
    assert [number for number, _ in results] == list(range(6, N + 1))
    same(grown, whole)


def test_a_streams_lines_are_all_new(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "stream", LINES[:5], source=None)
    resumed, results = learn(tmp_path / "stream", LINES[5:], source=None)
    assert [number for number, _ in results] == list(range(1, N - 4))
    same(resumed, whole)


def test_bad_lines_and_unknown_users_are_reported_and_skipped(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    stranger = LINES[0].replace(b'"user": 0', b'"user": 9')
    mixed = [b"oops\n", *LINES[:3], stranger, *LINES[3:]]
    learned, results = learn(tmp_path / "mixed", mixed)
    bad = [str(result) for _, result in results if isinstance(result, BadLine)]
    assert len(results) == N + 2
    assert bad[0].startswith("line 1: this is not JSON")
    assert bad[1:] == ["line 5: there is no user 9"]
    same(learned, whole)
    assert learn(tmp_path / "mixed", mixed)[1] == []
    assert learn(tmp_path / "junk", [b"oops\n"])[1] == [(1, bad_line := results[0][1])]
    assert str(bad_line) == bad[0]


def test_an_event_that_breaks_the_loss_is_reported_and_stays_observed(tmp_path):
    class Broken(Recommender):
        def loss(self, event):
            judged = super().loss(event)
            return judged._replace(loss=judged.loss * (math.nan if event.time == 3 else 1))

    for again in range(2):
        recommender = Broken()
        with recommender.adapter(tmp_path, snapshot_every=100) as adapter:
            results = list(adapter.feed(LINES, "events"))
        if not again:
            assert [n for n, result in results if isinstance(result, BadLine)] == [4]
            (tmp_path / "snapshot.safetensors").unlink()
            first = recommender
    same(first, recommender)
    assert len(first.history) == N


CHANGED = [LINES[:3], [*LINES[:4], LINES[7]], LINES[1:], [LINES[0], LINES[2], *LINES[2:]], []]


@pytest.mark.parametrize("changed", CHANGED)
def test_a_file_that_changed_is_reported(tmp_path, changed):
    learn(tmp_path, LINES[:5])
    with pytest.raises(InputError, match="events:5: changed since it was read"):
        learn(tmp_path, changed)


def test_a_moved_file_is_not_learned_again(tmp_path):
    """Nor is it after a second move, nor under its first name."""
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "moved", LINES[:5], "old/events")
    moved, results = learn(tmp_path / "moved", LINES[:9], "new/events")
    assert [number for number, _ in results] == [6, 7, 8, 9]
    assert moved.reports == [
        "new/events begins as old/events, whose events were learned up to line 5: "
        "reading goes on after line 5"
    ]
    assert [n for n, _ in learn(tmp_path / "moved", LINES, "newest/events")[1]] == [10, 11, 12]
    again, results = learn(tmp_path / "moved", LINES, "old/events")
    assert results == []
    same(again, whole)


@pytest.mark.parametrize("changed", CHANGED[:2])
def test_a_moved_file_that_changed_is_refused(tmp_path, changed):
    learn(tmp_path, LINES[:5], "old")
    with pytest.raises(InputError, match="new:5: its first event was learned from old, but later"):
        learn(tmp_path, changed, "new")


def test_another_file_is_learned_as_a_whole(tmp_path):
    whole, _ = learn(tmp_path / "whole")
    learn(tmp_path / "two", LINES[:5], "first")
    two, results = learn(tmp_path / "two", LINES[5:], "second")
    assert [number for number, _ in results] == list(range(1, N - 4))
    assert two.reports == []
    same(two, whole)


def test_a_moved_file_is_recognised_where_its_first_event_was_refused_at_first(tmp_path):
    """A check may accept later what it refused before; the file stays the same."""

    class Strict(Recommender):
        def check(self, event):
            super().check(event)
            if event.time == 0 and not self.history:
                raise InputError("no history yet")

    for name, expected in (("old", [*range(1, 6)]), ("new", [])):
        recommender = Strict()
        with recommender.adapter(tmp_path) as adapter:
            results = list(adapter.feed(LINES[:5], name))
        assert [number for number, _ in results] == expected


def test_a_folder_in_use_is_reported(tmp_path):
    with (
        Recommender().adapter(tmp_path),
        pytest.raises(InputError, match="another process is using it"),
    ):
        Recommender().adapter(tmp_path)
    Recommender().adapter(tmp_path).close()


def test_a_snapshot_of_other_settings_is_reported(tmp_path):
    learn(tmp_path)
    with pytest.raises(InputError, match=r"snapshot.safetensors: .*other settings"):
        learn(tmp_path, settings=AdaptationSettings(rate=0.5))
    learn(tmp_path)  # and the folder was released


def damage(folder, change):
    """Replace the list of the journal's lines by what `change` makes of it."""
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(change(lines)))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [*lines[:2], b"rot\n", *lines[3:]], 3),
        (lambda lines: [*lines[:2], *lines[3:]], 3),  # an entry is missing
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines, lines[-1]], N + 1),
        (lambda lines: [lines[0].replace(b'"value": 1.0', b'"value": 2.0'), *lines[1:]], 1),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"implicit", b"implicif")], N),
        (lambda lines: [*lines[:-1], lines[-1][:-1] + b"x"], N),  # its end is damaged, not torn
    ],
)
def test_a_damaged_journal_is_reported_with_its_line(tmp_path, change, line):
    learn(tmp_path)
    damage(tmp_path, change)
    with pytest.raises(InputError, match=rf"journal.jsonl:{line}: the journal is damaged here"):
        learn(tmp_path)


def test_every_changed_byte_of_an_acknowledged_entry_is_found(tmp_path):
    learn(tmp_path, LINES[:2])
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    for place in range(whole.index(b"\n") + 1, len(whole)):  # of the last entry
        journal.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match="the journal is damaged here"):
            Journal(journal)


def test_an_event_that_the_data_set_no_longer_has_is_reported(tmp_path):
    learn(tmp_path)

    class Smaller(Recommender):
        def check(self, event):
            if event.user == "2":
                raise InputError("no user '2'")

    with pytest.raises(InputError, match=r"journal.jsonl:3: the journal is damaged here: no user"):
        Smaller().adapter(tmp_path)


def test_a_kind_that_does_not_exist_is_reported_in_spite_of_a_right_sum(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(Entry(None, None, 1, None, Event("1", "2", "shared", 1.0, 3.0)))
    journal.close()
    with pytest.raises(InputError, match=r"journal.jsonl:1: the journal is damaged here"):
        Journal(tmp_path / "journal.jsonl")


def test_a_snapshot_of_another_journal_is_reported(tmp_path):
    learn(tmp_path / "one", LINES[:5])
    learn(tmp_path / "two", LINES[5:])
    (tmp_path / "two" / "journal.jsonl").replace(tmp_path / "one" / "journal.jsonl")
    with pytest.raises(InputError, match="not the journal of the snapshot"):
        learn(tmp_path / "one")


def test_a_journal_that_lost_entries_is_reported(tmp_path):
    learn(tmp_path)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match="older than the snapshot"):
        learn(tmp_path)


@pytest.mark.parametrize("written", [0, 10])
def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path, monkeypatch, written):
    journal = Journal(tmp_path / "journal.jsonl")
    event = Event("1", "2", "implicit", 1.0, 3.0)
    first, second = (Entry(None, None, line, None, event) for line in (1, 2))
    journal.append(first)
    before, write = journal.path.read_bytes(), os.write

    def full(handle, data):
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[:written])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"space|a part of the entry"):
        journal.append(second)
    monkeypatch.undo()
    assert journal.path.read_bytes() == before
    journal.append(second)
    assert [entry.line for entry, _ in journal.entries()] == [1, 2]
    assert (len(journal), journal.newest) == (2, second)
