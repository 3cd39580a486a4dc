from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.data.splits import Log, leave_one_out, temporal_split
from llm4rec_recbole.datasets.prepare import prepare, read_interactions, summarise, tied_at_the_end
from llm4rec_recbole.errors import InputError

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


@pytest.fixture
def data_path(tmp_path):
    """A data set of three users: one interaction, two, and twelve."""
    folder = tmp_path / "dataset" / "tiny"
    folder.mkdir(parents=True)
    rows = ["once\ti1\t5\n", "twice\ti1\t1\n", "twice\ti2\t2\n"]
    rows += [f"often\ti{n}\t{n}\n" for n in range(1, 13)]
    (folder / "tiny.inter").write_text(HEADER + "".join(rows))
    return tmp_path / "dataset"


def run(data_path, *arguments: str) -> int:
    out = str(data_path.parent / "out")
    return llm4rec(
        ["prepare", "--dataset", "tiny", "--data-path", str(data_path), "--out", out, *arguments]
    )


def test_ml_100k_is_prepared(tmp_path):
    assert llm4rec(["prepare", "--dataset", "ml-100k", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "items.parquet",
        "summary.json",
        "users.parquet",
    ]
    items = pd.read_parquet(tmp_path / "items.parquet")
    assert items.columns.tolist() == ["item_id", "title", "year", "categories"]
    assert len(items) == 1682
    assert len(pd.read_parquet(tmp_path / "users.parquet")) == 943
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["users"], summary["items"], summary["interactions"]) == (943, 1682, 100_000)
    assert summary["users_tied_at_their_last_time"] == 415
    assert summary["loo"]["test_users"] == 943
    assert summary["temporal"]["test_users"] == 69
    assert summary["sha256"]["ml-100k.inter"].startswith("4edb74e2a811")


def test_a_user_with_one_interaction_trains_only_from_file_to_split(data_path, capsys):
    assert run(data_path) == 0
    assert "tiny: 3 users, 12 items, 15 interactions" in capsys.readouterr().out
    log = read_interactions(data_path / "tiny" / "tiny.inter")
    split = leave_one_out(Log(log.users, log.items, log.times))
    assert log.user_tokens[split.test.users].tolist() == ["often"]
    assert log.item_tokens[split.test.targets].tolist() == ["i12"]
    assert log.user_tokens[log.users[split.train]].tolist().count("once") == 1
    later = temporal_split(Log(log.users, log.items, log.times))
    assert log.user_tokens[later.test.users].tolist() == ["often"]
    summary = json.loads((data_path.parent / "out" / "summary.json").read_text())
    assert summary["loo"]["users_train_only"] == 2
    assert "items.parquet" not in [path.name for path in (data_path.parent / "out").iterdir()]


def test_broken_data_gives_one_line_and_leaves_earlier_results(data_path, capsys):
    assert run(data_path) == 0
    before = (data_path.parent / "out" / "summary.json").read_bytes()
    with open(data_path / "tiny" / "tiny.inter", "a") as file:
        file.write("often\ti13\tNaN\n")
    capsys.readouterr()
    assert run(data_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "tiny.inter:17: column 'timestamp': 'NaN' is not a finite number" in error
    assert (data_path.parent / "out" / "summary.json").read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_the_earlier_summary(data_path, monkeypatch, capsys):
    assert run(data_path) == 0
    out = data_path.parent / "out"
    before = (out / "summary.json").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    capsys.readouterr()
    assert run(data_path) == 2
    assert (
        capsys.readouterr().err == f"llm4rec prepare: {out}/summary.json: No space left on device\n"
    )
    assert [path.name for path in out.iterdir()] == ["summary.json"]
    assert (out / "summary.json").read_bytes() == before


def test_a_missing_data_set_is_one_line_with_those_known_and_status_2(data_path):
    command = [sys.executable, "-m", "llm4rec_recbole.cli", "prepare", "--dataset", "tinny"]
    done = subprocess.run(
        [*command, "--data-path", str(data_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    place = data_path / "tinny" / "tinny.inter"
    assert done.stderr == (
        "llm4rec prepare: no data set 'tinny'; did you mean tiny? "
        f"(known: ml-100k, tiny; others go to {place})\n"
    )


def test_a_file_of_another_name_in_the_data_sets_folder_is_named(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "Shop.inter").write_text(HEADER + "u\ti\t1\n")
    with pytest.raises(InputError) as refused:
        prepare("shop", tmp_path / "out", tmp_path)
    place = tmp_path / "shop" / "shop.inter"
    known = f"known: ml-100k; others go to {place}, where there is Shop.inter"
    assert str(refused.value) == f"no data set 'shop' ({known})"


def test_it_starts_without_torch_and_recbole():
    code = (
        "import sys; from llm4rec_recbole.cli.run import llm4rec; "
        "llm4rec(['prepare', '--dataset', 'none'])\n"
        "assert not {'torch', 'recbole', 'scipy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_users_tied_at_their_last_time_are_counted():
    users = np.array([1, 1, 1, 2, 2, 3, 4, 4])
    times = np.array([5, 9, 9, 4, 3, 7, 8, 8])
    assert tied_at_the_end(users, times) == 2


def test_seconds_among_milliseconds_are_refused_with_their_line(data_path, capsys):
    times = [1700000000, 1700000500, 1700000900000, 1700000700]
    rows = [f"ann\ti{n}\t{time}\n" for n, time in enumerate(times)]
    (data_path / "tiny" / "tiny.inter").write_text(HEADER + "".join(rows))
    assert run(data_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tiny.inter:4: the time is in milliseconds, but the times above" in line
    assert not (data_path.parent / "out").exists()


def test_a_protocol_that_cannot_split_is_reported_in_the_summary(tmp_path):
    (tmp_path / "flat.inter").write_text(HEADER + "".join(f"u\ti{n}\t7\n" for n in range(9)))
    log = read_interactions(tmp_path / "flat.inter")
    summary = summarise(log, Log(log.users, log.items, log.times))
    assert summary["loo"]["test_users"] == 1
    assert "leave 0 interactions to train on" in summary["temporal"]["refused"]


def test_times_are_integers_unless_the_file_has_fractions(tmp_path):
    (tmp_path / "x.inter").write_text(HEADER + "NA\ti\t893286638\nu\t007\t893286637\n")
    log = read_interactions(tmp_path / "x.inter")
    assert (log.times.dtype, log.times.tolist()) == (np.int64, [893286638, 893286637])
    assert log.user_tokens.tolist() == ["[PAD]", "NA", "u"]
    assert log.item_tokens.tolist() == ["[PAD]", "i", "007"]
    (tmp_path / "x.inter").write_text(HEADER + "u\ti\t893286638.25\n")
    assert read_interactions(tmp_path / "x.inter").times.tolist() == [893286638.25]


@pytest.mark.parametrize("other", ["-1", "1"])
def test_whole_times_beyond_64_bits_are_numbers_too(tmp_path, other):
    for large in ("99999999999999999999", "9223372036854775808"):
        (tmp_path / "x.inter").write_text(HEADER + f"u\ti\t{large}\nu\tj\t{other}\n")
        assert read_interactions(tmp_path / "x.inter").times.tolist() == [float(large), int(other)]


def test_tables_of_an_earlier_version_do_not_stay(data_path):
    item = data_path / "tiny" / "tiny.item"
    item.write_text(
        "item_id:token\ttitle:token_seq\n" + "".join(f"i{n}\tx\n" for n in range(1, 13))
    )
    assert run(data_path) == 0
    out = data_path.parent / "out"
    assert (out / "items.parquet").is_file()
    item.unlink()
    assert run(data_path) == 0
    assert [path.name for path in out.iterdir()] == ["summary.json"]
