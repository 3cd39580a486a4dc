"""Files are replaced atomically, and temporary files of dead processes are removed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import open_regular, replacing, write_atomically

WRITER = """
import sys, time
from llm4rec_recbole.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path):
    """A process in the middle of writing `tmp_path/a`."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path, writer) -> None:
    assert len(list(tmp_path.iterdir())) == 1
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(list(tmp_path.iterdir())) == 1
    write_atomically(tmp_path / "another", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_the_file_of_a_living_writer_stays(tmp_path: Path, writer) -> None:
    write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 2


def test_two_writers_in_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "a") as second:
        first.write(b"1")
        second.write(b"2")
    assert (tmp_path / "a").read_bytes() == b"1"  # the outer block ends last
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_files_of_other_programs_stay(tmp_path: Path) -> None:
    for name in (".a.12345678", "a.12345678.tmp-llm4rec", ".a.tmp-llm4rec", ".cache"):
        (tmp_path / name).touch()
    write_atomically(tmp_path / "b", b"x")
    assert len(list(tmp_path.iterdir())) == 5


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"old")
    with suppress(RuntimeError), replacing(tmp_path / "a") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_is_respected(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_a_device_or_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path / "pipe", tmp_path):
        with pytest.raises(InputError, match="cannot write here"):
            write_atomically(path, b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing", "nul"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = {"device": "/dev/zero", "nul": "a\0b"}.get(kind, str(tmp_path / "a"))
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "folder":
        os.mkdir(path)
    with pytest.raises(InputError):
        open_regular(path)
