"""Two runs on one data set, and runs that end in the middle: files of two versions never mix."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm4rec_recbole.datasets.fetch import fetch
from llm4rec_recbole.datasets.spec import INCOMPLETE, DatasetSpec, RawFile, has_raw_files, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import locked, staging_dir
from tests.helpers.tiny_ratings import RATINGS

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
SPEC = DatasetSpec(
    dataset="tiny",
    format="movielens_dat",
    files={"ratings": [RawFile(name="ratings.dat")], "items": [RawFile(name="movies.dat")]},
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a data set of one user."""
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    rows = "".join(f"ann\ti{n}\t{n}\n" for n in range(1, 13))
    (folder / "shop.inter").write_text(HEADER + rows)
    return folder


def start_prepare(folder: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "llm4rec_recbole.cli", "prepare", "--dataset", folder.name]
    command += ["--data-path", str(folder.parent), "--out", str(out)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with SIGINT ignored, and pytest may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("which", ["data set", "out"])
def test_prepare_waits_for_another_run_on_either_folder(shop, tmp_path, which):
    out = tmp_path / "out"
    out.mkdir()
    with locked(shop if which == "data set" else out):
        run = start_prepare(shop, out)
        assert "waiting for another run that uses it" in run.stderr.readline()
        time.sleep(0.2)
        assert run.poll() is None
        assert not (out / "summary.json").exists()
    assert run.wait(60) == 0
    assert (out / "summary.json").is_file()


def test_ctrl_c_is_one_line_and_status_130(shop, tmp_path):
    with locked(shop):
        run = start_prepare(shop, tmp_path / "out")
        assert "waiting" in run.stderr.readline()
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    assert run.stderr.read() == "stopped\n"


def test_a_folder_is_locked_once_by_one_process(tmp_path):
    with locked(tmp_path, tmp_path), staging_dir(tmp_path) as staging:
        assert staging.parent == tmp_path
    with locked(tmp_path):
        pass


def write_copy(folder: Path, ratings: bytes, movies: bytes) -> Path:
    folder.mkdir()
    (folder / "ratings.dat").write_bytes(ratings)
    (folder / "movies.dat").write_bytes(movies)
    return folder


@pytest.mark.parametrize("nth", [1, 2])
def test_an_import_that_ends_between_two_renames_is_refused_until_it_is_repeated(
    tmp_path, monkeypatch, nth
):
    raw = tmp_path / "raw"
    fetch(SPEC, raw, write_copy(tmp_path / "old", RATINGS, b"1::Old::Drama\n"))
    new = write_copy(tmp_path / "new", RATINGS[:200], b"1::New::Drama\n")
    replace, moved = Path.replace, []

    def move(path: Path, target: Path) -> None:
        moved.append(target.name)
        if len(moved) == nth:
            raise KeyboardInterrupt
        replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", move)
        with pytest.raises(KeyboardInterrupt):
            fetch(SPEC, raw, new)
    with pytest.raises(InputError, match=r"was interrupted.*\(run llm4rec fetch tiny again\)"):
        raw_files(SPEC, raw)
    fetch(SPEC, raw, new)
    assert raw_files(SPEC, raw)["items"].read_bytes() == b"1::New::Drama\n"
    assert sorted(path.name for path in raw.iterdir()) == ["movies.dat", "ratings.dat"]
    assert not (raw / INCOMPLETE).exists()


def test_what_a_killed_import_left_is_not_read_and_the_next_one_removes_it(tmp_path):
    raw = tmp_path / "raw"
    (raw / ".raw.deaddead").mkdir(parents=True)
    (raw / ".raw.deaddead" / "ratings.dat").write_bytes(b"half a file")
    assert not has_raw_files(SPEC, raw)
    fetch(SPEC, raw, write_copy(tmp_path / "own", RATINGS, b"1::A::B\n"))
    assert sorted(path.name for path in raw.iterdir()) == ["movies.dat", "ratings.dat"]


def test_sigterm_in_a_fetch_leaves_nothing_that_the_next_one_does_not_remove(tmp_path):
    own = write_copy(tmp_path / "own", RATINGS, b"1::A::B\n")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from llm4rec_recbole.datasets import fetch as importer\n"
        "importer._move_all = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "from tests.datasets.test_concurrent_runs import SPEC, fetch\n"
        "fetch(SPEC, Path(sys.argv[1]), sys.argv[2])\n"
    )
    raw = tmp_path / "raw"
    command = [sys.executable, "-c", code, str(raw), str(own)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert [path.name for path in raw.iterdir()] != []
    fetch(SPEC, raw, own)
    assert sorted(path.name for path in raw.iterdir()) == ["movies.dat", "ratings.dat"]
