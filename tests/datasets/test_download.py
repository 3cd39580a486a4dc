"""Fetching from the web: wrong files are refused, right ones stay, manual steps are named."""

from __future__ import annotations

import hashlib
import io
import resource
import zipfile

import pytest

from llm4rec_recbole.datasets.fetch import fetch
from llm4rec_recbole.datasets.raw_sources import download
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile, raw_files
from llm4rec_recbole.errors import InputError
from tests.helpers.tiny_ratings import RATINGS, SUM, spec
from tests.helpers.web_server import serving


@pytest.fixture
def web():
    with serving() as one:
        one.files["ratings.dat"] = RATINGS
        yield one


def test_a_download_is_checked_and_put_in_its_place(web, tmp_path):
    lines = fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert lines == ["ratings.dat: SHA-256 is right", "users.dat: not there; it is optional"]
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]


def test_a_broken_connection_is_reported_and_the_next_try_continues(web, tmp_path):
    web.breaks_after = 100_000
    with pytest.raises(InputError, match=r"broke after 100,000 bytes.*run it again"):
        fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert not (tmp_path / "ratings.dat").exists()
    web.breaks_after = None
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert web.asked == [("/ratings.dat", None), ("/ratings.dat", "bytes=100000-")]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(web, tmp_path):
    web.breaks_after, web.files["ratings.dat"] = 100_000, b"x" * 200_000
    with pytest.raises(InputError, match="broke"):
        fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    web.breaks_after, web.files["ratings.dat"], web.version = None, RATINGS, '"2"'
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS


def test_a_wrong_checksum_is_refused_with_both_sums_and_the_old_file_stays(web, tmp_path):
    (tmp_path / "ratings.dat").write_bytes(b"old")
    web.files["ratings.dat"] = b"other"
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(InputError, match=f"wrong SHA-256: {wrong} instead of {SUM}"):
        fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]
    web.files["ratings.dat"] = RATINGS
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS


def test_what_the_server_refuses_is_reported(web, tmp_path):
    with pytest.raises(InputError, match="the server answers 404"):
        fetch(spec(f"{web.address}/nothing.dat"), tmp_path)


def test_what_the_server_refuses_leaves_no_folder(web, tmp_path):
    with pytest.raises(InputError, match="the server answers 404"):
        fetch(spec(f"{web.address}/nothing.dat"), tmp_path / "raw")
    web.files["ratings.dat"] = b"other"
    with pytest.raises(InputError, match="wrong SHA-256"):
        fetch(spec(f"{web.address}/ratings.dat"), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_an_invalid_content_length_is_unknown(web, tmp_path):
    web.length = "abc"
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS


def test_a_full_disk_is_not_reported_as_a_broken_connection(web, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # stands in for a full disk
    try:
        with pytest.raises(InputError, match=r"ratings\.dat\.part: cannot write it: File too"):
            fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "download/ratings.dat.part").stat().st_size == 100_000
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)
    assert web.asked[-1] == ("/ratings.dat", "bytes=100000-")


def test_only_web_addresses_are_opened(tmp_path):
    (tmp_path / "ratings.dat").write_bytes(RATINGS)
    with pytest.raises(InputError, match="not a web address"):
        download(f"file://{tmp_path}/ratings.dat", tmp_path / "raw")


def test_an_archive_is_downloaded_and_opened(web, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ml/ratings.dat", RATINGS)
        archive.writestr("ml/README", "hello")
    web.files["ml.zip"] = packed.getvalue()
    fetch(spec(archive=RawFile(name="ml.zip", url=f"{web.address}/ml.zip")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]


def test_a_licence_that_needs_consent_is_reported_and_nothing_is_downloaded(web, tmp_path):
    with pytest.raises(InputError) as error:
        fetch(spec(f"{web.address}/ratings.dat", license_agreement="the terms"), tmp_path)
    for part in (
        "accept the terms",
        "https://example.org",
        "fetch tiny --from FOLDER",
        "users.dat",
    ):
        assert part in str(error.value)
    assert web.asked == []


def test_what_came_before_a_download_broke_is_not_read(web, tmp_path):
    files = {
        "ratings": [RawFile(name="ratings.dat", sha256=SUM, url=f"{web.address}/ratings.dat")],
        "items": [RawFile(name="movies.dat", url=f"{web.address}/movies.dat")],
    }
    two = DatasetSpec(dataset="tiny", format="movielens_dat", files=files)
    with pytest.raises(InputError, match="404"):
        fetch(two, tmp_path)
    assert (tmp_path / "download/ratings.dat").is_file()  # and unchecked
    with pytest.raises(InputError, match=r"there is no ratings\.dat"):
        raw_files(spec(), tmp_path)
    web.files["movies.dat"] = b"1::A::B\n"
    del web.asked[:]
    fetch(two, tmp_path)
    assert [path for path, _ in web.asked] == ["/movies.dat"]  # the other one had come


def test_a_wrong_file_does_not_cost_the_right_ones(web, tmp_path):
    one = spec(f"{web.address}/ratings.dat")
    one.files["users"][0] = RawFile(name="users.dat", optional=True, url=f"{web.address}/users.dat")
    web.files["users.dat"] = b"<html>Log in</html>"
    with pytest.raises(InputError, match=r"users\.dat: it is a web page"):
        fetch(one, tmp_path)
    web.files["users.dat"] = b"1::M::25::1::0\n"
    del web.asked[:]
    fetch(one, tmp_path)
    assert web.asked == [("/users.dat", None)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ratings.dat", "users.dat"]


def test_a_missing_optional_file_does_not_stop_the_others(web, tmp_path, capsys):
    one = spec(f"{web.address}/ratings.dat")
    one.files["users"][0] = RawFile(name="users.dat", optional=True, url=f"{web.address}/users.dat")
    lines = fetch(one, tmp_path)
    assert lines == ["ratings.dat: SHA-256 is right", "users.dat: not there; it is optional"]
    assert "users.dat: the server answers 404" in capsys.readouterr().err


def test_a_connection_that_breaks_at_an_optional_file_is_reported_and_continues(web, tmp_path):
    web.files["users.dat"] = b"1::M::25::1::0\n" * 20_000
    one = spec(f"{web.address}/ratings.dat")
    one.files["users"][0] = RawFile(name="users.dat", optional=True, url=f"{web.address}/users.dat")
    download(f"{web.address}/ratings.dat", tmp_path / "download/ratings.dat")
    web.breaks_after = 100_000
    with pytest.raises(InputError, match="broke after 100,000 bytes"):
        fetch(one, tmp_path)
    web.breaks_after = None
    fetch(one, tmp_path)
    assert web.asked[-1] == ("/users.dat", "bytes=100000-")
    assert (tmp_path / "users.dat").read_bytes() == web.files["users.dat"]


def test_complete_files_are_not_downloaded_again(web, tmp_path):
    came = tmp_path / "download"
    came.mkdir()
    (came / "ratings.dat.part").write_bytes(RATINGS)
    (came / "ratings.dat.part.tag").write_text(web.version)
    fetch(spec(f"{web.address}/ratings.dat"), tmp_path)  # the server says 416: no rest
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert web.asked == [("/ratings.dat", f"bytes={len(RATINGS)}-")]


@pytest.mark.parametrize("lie", [{"version": '"2"', "ignores_if_range": True}, {"part_from": 0}])
def test_another_part_than_requested_is_refused(web, tmp_path, lie):
    """Without a checksum a wrong part would stay unnoticed."""
    web.breaks_after = 100_000
    with pytest.raises(InputError, match="broke"):
        download(f"{web.address}/ratings.dat", tmp_path / "ratings.dat")
    web.breaks_after = None
    for name, value in lie.items():
        setattr(web, name, value)
    with pytest.raises(InputError, match=r"sent another part.*run it again"):
        download(f"{web.address}/ratings.dat", tmp_path / "ratings.dat")
    download(f"{web.address}/ratings.dat", tmp_path / "ratings.dat")
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
