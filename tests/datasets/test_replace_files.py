"""The files of a data set are all of one version, whatever ends the run that makes them."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile

FILES = {role: [RawFile(name=f"{role}.csv", optional=True)] for role in ("items", "tags")}
SPEC = DatasetSpec(
    dataset="tiny",
    format="movielens_csv",
    files={"ratings": [RawFile(name="ratings.csv")], **FILES},
)


def write_raw(folder: Path, n_movies: int, *, tags: bool = True) -> Path:
    """Raw files of a version with `n_movies` movies."""
    folder.mkdir()
    movies = range(1, n_movies + 1)
    rows = "".join(f"1,{movie},4.0,1147880044\n" for movie in movies)
    (folder / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n{rows}")
    rows = "".join(f"{movie},Heat {movie},Drama\n" for movie in movies)
    (folder / "items.csv").write_text(f"movieId,title,genres\n{rows}")
    if tags:
        rows = "".join(f"1,{movie},good,1147880044\n" for movie in movies)
        (folder / "tags.csv").write_text(f"userId,movieId,tag,timestamp\n{rows}")
    return folder


@pytest.fixture
def out(tmp_path):
    """The files of an old version, of three movies."""
    convert(SPEC, write_raw(tmp_path / "old", 3), tmp_path / "tiny")
    return tmp_path / "tiny"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("nth", "name"), enumerate(("tiny.item", "tags.parquet", "raw.json", "tiny.inter"), 1)
)
def test_a_disk_that_is_full_at_any_file_leaves_the_old_version(out, tmp_path, full_at, nth, name):
    raw, before = write_raw(tmp_path / "new", 5), contents(out)
    full_at(nth)
    with pytest.raises(OSError, match="No space left") as error:
        convert(SPEC, raw, out)
    assert error.value.filename == str(out / name)
    assert contents(out) == before
    assert len(list(out.iterdir())) == len(before)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_run_that_ends_between_two_renames_leaves_no_interactions(
    out, tmp_path, monkeypatch, nth
):
    raw, replace, moved = write_raw(tmp_path / "new", 5), Path.replace, []
    convert(SPEC, raw, tmp_path / "whole")
    after = contents(tmp_path / "whole")

    def move(path: Path, target: Path) -> None:
        moved.append(target.name)
        if len(moved) == nth:
            raise KeyboardInterrupt
        replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", move)
        with pytest.raises(KeyboardInterrupt):
            convert(SPEC, raw, out)
    assert "tiny.inter" not in contents(out)
    assert len(moved) == nth
    convert(SPEC, raw, out)
    assert contents(out) == after


def test_a_file_that_outgrows_the_limit_is_one_line_and_leaves_the_old_version(tmp_path):
    command = [
        sys.executable,
        "-m",
        "llm4rec_recbole.cli",
        "prepare",
        "--dataset",
        "ml-latest-small",
    ]
    command += ["--data-path", str(tmp_path / "dataset"), "--out", str(tmp_path / "out"), "--raw"]
    for n_movies in (3, 4000):
        raw = write_raw(tmp_path / str(n_movies), n_movies)
        (raw / "items.csv").rename(raw / "movies.csv")
    subprocess.run([*command, str(tmp_path / "3")], check=True, capture_output=True)
    folder = tmp_path / "dataset" / "ml-latest-small"
    before = contents(folder)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command.append(str(tmp_path / "4000"))
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"llm4rec prepare: {folder}/")
    assert done.stderr.endswith(": File too large\n")
    assert ".raw." not in done.stderr
    assert contents(folder) == before


def test_the_next_run_removes_the_staging_folders_of_killed_runs(out, tmp_path):
    for name in (".raw.deaddead", ".raw.bak"):  # the second is not a name of ours
        (out / name).mkdir()
        (out / name / "tags.parquet").write_bytes(b"half a table")
    convert(SPEC, tmp_path / "old", out)
    assert {path.name for path in out.glob(".*")} == {".raw.bak"}


def test_only_tables_that_an_earlier_run_wrote_are_removed(out, tmp_path):
    """`ratings.parquet` and `reviews.parquet` are somebody's own, whatever raw.json says."""
    for name in ("ratings.parquet", "reviews.parquet"):
        (out / name).write_bytes(b"my own")
    (tmp_path / "precious.parquet").write_bytes(b"my own")
    report = json.loads((out / "raw.json").read_bytes())
    report["rows"]["../precious"] = {}
    (out / "raw.json").write_text(json.dumps(report))
    convert(SPEC, write_raw(tmp_path / "new", 5, tags=False), out)
    assert not (out / "tags.parquet").exists()
    for path in (out / "ratings.parquet", out / "reviews.parquet", tmp_path / "precious.parquet"):
        assert path.read_bytes() == b"my own"
