"""`llm4rec fetch` on the command line, and the sources of this project."""

from __future__ import annotations

import hashlib

import pytest

from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.datasets import spec
from llm4rec_recbole.datasets.spec import read_spec, spec_names


def test_from_raw_to_check_on_the_command_line(tmp_path, monkeypatch, capsys):
    rows = [f"{user}::{item}::5::{978300760 + item}\n" for user in (1, 2) for item in range(1, 5)]
    own = tmp_path / "ratings.dat"
    own.write_text("".join(rows))
    right = hashlib.sha256(own.read_bytes()).hexdigest()
    properties = tmp_path / "properties" / "dataset"
    properties.mkdir(parents=True)
    (properties / "tiny.yaml").write_text(
        "source:\n  format: movielens_dat\n  homepage: here\n  files:\n"
        f"    ratings: {{name: ratings.dat, sha256: {right}}}\n"
        "  expected_rows: {ratings: 8}\n"
        "  expected_statistics: {users: 2, items: 4, interactions: 8, density: 1.0}\n"
    )
    monkeypatch.setattr(spec, "properties_folder", lambda: tmp_path / "properties")
    monkeypatch.chdir(tmp_path)
    assert llm4rec(["fetch", "tiny"]) == 2
    assert "no known address of ratings.dat; see here" in capsys.readouterr().err
    assert llm4rec(["prepare", "--dataset", "tiny"]) == 2
    assert "the data set tiny is not here (llm4rec fetch tiny)" in capsys.readouterr().err
    assert llm4rec(["fetch", "tiny", "--from", str(own)]) == 0
    assert llm4rec(["prepare", "--dataset", "tiny"]) == 0
    assert llm4rec(["fetch", "tiny", "--check"]) == 0
    out = capsys.readouterr().out
    for line in (
        "ratings.dat: SHA-256 is right",
        "users: 2, as expected",
        "ratings: 8, as expected",
    ):
        assert line in out
    (tmp_path / "dataset/tiny/raw/ratings.dat").write_text("".join(rows[:-1]))
    assert llm4rec(["fetch", "tiny", "--check"]) == 1
    assert f"instead of {right}" in capsys.readouterr().out
    assert llm4rec(["fetch", "tinys"]) == 2
    assert "did you mean tiny?" in capsys.readouterr().err


def test_recboles_ml_100k_has_the_checksum_of_the_property_file(capsys):
    assert llm4rec(["fetch", "ml-100k"]) == 0
    assert "comes with recbole" in capsys.readouterr().out
    assert llm4rec(["fetch", "ml-100k", "--check"]) == 0
    out = capsys.readouterr().out
    assert "ml-100k.inter: SHA-256 is right" in out
    assert out.count("as expected") == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["ml-1m", "--from", ""], "--from names no folder or archive"),
        (["ml-100k", "--from", "."], "there is nothing to fetch (leave --from out)"),
        (["../dataset/ml-1m", "--from", "."], "there is no specification of '../dataset/ml-1m'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, arguments, line
):
    monkeypatch.chdir(tmp_path)
    assert llm4rec(["fetch", *arguments]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_taking_and_checking_at_once_is_refused(capsys):
    assert llm4rec(["fetch", "ml-1m", "--from", ".", "--check"]) == 2
    assert "--check: not allowed with argument --from" in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"source: [", b"- a list", b"source: \xff"])
def test_a_broken_property_file_breaks_only_its_own_data_set(tmp_path, monkeypatch, text):
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "broken.yaml").write_bytes(text)
    right = "source: {format: movielens_dat, files: {ratings: {name: ratings.dat}}}"
    (folder / "right.yaml").write_text(right)
    monkeypatch.setattr(spec, "properties_folder", lambda: tmp_path)
    assert spec_names() == ["right"]


def test_every_source_of_this_project_can_be_read_and_says_what_it_must():
    for name in spec_names():
        one = read_spec(name)
        assert one.license, name
        assert one.homepage.startswith("https://"), name
        assert one.files, name
        if "Yelp" in one.license:
            assert one.license_agreement, name
        for file in (file for files in one.files.values() for file in files):
            assert file.sha256 is None or len(file.sha256) == 64, file
