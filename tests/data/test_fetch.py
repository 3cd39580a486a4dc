"""Fetching: nothing wrong is taken, nothing right is lost, a person's part is told."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace

import pytest
from web import serving

from llm4rec_recbole.cli import llm4rec
from llm4rec_recbole.data import fetch as fetching
from llm4rec_recbole.data.check import check
from llm4rec_recbole.data.download import download
from llm4rec_recbole.data.fetch import fetch
from llm4rec_recbole.data.source import RawFile, Source, raw_files
from llm4rec_recbole.data.take import git_blob
from llm4rec_recbole.errors import InputError

RATINGS = b"".join(b"%d::%d::5::%d\n" % (n, n % 7, 978300760 + n) for n in range(20_000))
SUM = hashlib.sha256(RATINGS).hexdigest()


@pytest.fixture
def web():
    with serving() as one:
        one.files["ratings.dat"] = RATINGS
        yield one


def source(url: str | None = None, **changes) -> Source:
    files = {"ratings": [RawFile("ratings.dat", sha256=SUM, url=url)]}
    files["users"] = [RawFile("users.dat", optional=True)]
    return Source("toy", "movielens_dat", files, home="https://example.org", **changes)


def test_a_download_is_checked_and_put_in_its_place(web, tmp_path):
    said = fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert said == ["ratings.dat: SHA-256 is right", "users.dat: not there; it is optional"]
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]


def test_a_broken_connection_is_told_and_the_next_try_goes_on(web, tmp_path):
    web.breaks_after = 100_000
    with pytest.raises(InputError, match=r"broke after 100,000 bytes.*run it again"):
        fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert not (tmp_path / "ratings.dat").exists()
    web.breaks_after = None
    fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert web.asked == [("/ratings.dat", None), ("/ratings.dat", "bytes=100000-")]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(web, tmp_path):
    web.breaks_after, web.files["ratings.dat"] = 100_000, b"x" * 200_000
    with pytest.raises(InputError, match="broke"):
        fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    web.breaks_after, web.files["ratings.dat"], web.version = None, RATINGS, '"2"'
    fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS


def test_a_wrong_checksum_is_refused_with_both_sums_and_the_old_file_stays(web, tmp_path):
    (tmp_path / "ratings.dat").write_bytes(b"old")
    web.files["ratings.dat"] = b"other"
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(InputError, match=f"wrong SHA-256: {wrong} instead of {SUM}"):
        fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]
    web.files["ratings.dat"] = RATINGS
    fetch(source(f"{web.address}/ratings.dat"), tmp_path)
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS


def test_what_the_server_refuses_is_told(web, tmp_path):
    with pytest.raises(InputError, match="the server says 404"):
        fetch(source(f"{web.address}/nothing.dat"), tmp_path)


def test_only_web_addresses_are_opened(tmp_path):
    (tmp_path / "ratings.dat").write_bytes(RATINGS)
    with pytest.raises(InputError, match="not a web address"):
        fetch(source(f"file://{tmp_path}/ratings.dat"), tmp_path / "raw")


def test_an_archive_is_downloaded_and_opened(web, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ml/ratings.dat", RATINGS)
        archive.writestr("ml/README", "hello")
    web.files["ml.zip"] = packed.getvalue()
    fetch(source(archive=RawFile("ml.zip", url=f"{web.address}/ml.zip")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.dat"]


def test_a_licence_that_a_person_must_accept_is_told_and_nothing_is_asked(web, tmp_path):
    with pytest.raises(InputError) as error:
        fetch(source(f"{web.address}/ratings.dat", accept="the terms"), tmp_path)
    for told in ("accept the terms", "https://example.org", "fetch toy --from FOLDER", "users.dat"):
        assert told in str(error.value)
    assert web.asked == []


@pytest.fixture(params=["folder", "zip", "tar", "tar.gz", "gz", "file"])
def own_copy(request, tmp_path):
    """The user's own copy of the ratings, in each shape."""
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    plain = folder / "deep" / "ratings.dat"
    plain.write_bytes(RATINGS)
    place = tmp_path / f"own.{request.param}"
    if request.param == "folder":
        return folder
    if request.param == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            archive.write(plain, "deep/ratings.dat")
    elif request.param.startswith("tar"):
        with tarfile.open(place, "w:gz" if request.param.endswith("gz") else "w") as tar:
            tar.add(plain, "deep/ratings.dat")
    elif request.param == "gz":
        place = tmp_path / "ratings.dat.gz"
        place.write_bytes(gzip.compress(RATINGS))
    else:
        place = plain
    return place


def test_an_own_copy_is_taken_in_every_shape(own_copy, tmp_path):
    fetch(source(accept="the terms"), tmp_path / "raw", own_copy)
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == RATINGS


def escaping_zip(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.dat", RATINGS)
        archive.writestr(name, "harm")


def escaping_tar(path, name):
    with tarfile.open(path, "w") as tar:
        for inside, content in (("ratings.dat", RATINGS), (name, b"harm")):
            member = tarfile.TarInfo(inside)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("pack", [escaping_zip, escaping_tar])
@pytest.mark.parametrize("name", ["../harm", "a/../../harm", "/tmp/harm", "..\\harm", "C:/harm"])
def test_an_archive_with_a_path_that_leaves_its_folder_is_refused(tmp_path, pack, name):
    pack(tmp_path / "own", name)
    with pytest.raises(InputError, match="leaves the archive's folder"):
        fetch(source(), tmp_path / "raw", tmp_path / "own")
    assert not (tmp_path / "raw").exists()


def test_a_link_in_a_tar_is_not_followed(tmp_path):
    with tarfile.open(tmp_path / "own", "w") as tar:
        link = tarfile.TarInfo("ratings.dat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"there is no ratings\.dat in it"):
        fetch(source(), tmp_path / "raw", tmp_path / "own")


@pytest.mark.parametrize("name", ["ratings.dat.gz", "own.zip", "own.tar.gz"])
def test_a_truncated_archive_is_refused_and_the_old_file_stays(tmp_path, name):
    whole = tmp_path / "whole"
    if name == "ratings.dat.gz":
        whole.write_bytes(gzip.compress(RATINGS))
    elif name == "own.zip":
        escaping_zip(whole, "harmless")
    else:
        with tarfile.open(whole, "w:gz") as tar:
            member = tarfile.TarInfo("ratings.dat")
            member.size = len(RATINGS)
            tar.addfile(member, io.BytesIO(RATINGS))
    content = whole.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ratings.dat").write_bytes(b"old")
    with pytest.raises(InputError):
        fetch(source(), tmp_path / "raw", tmp_path / name)
    assert (tmp_path / "raw" / "ratings.dat").read_bytes() == b"old"


def with_a_password(archive):
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        archive[archive.index(header) + flags] |= 1


def packed_in_a_new_way(archive):
    for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        archive[archive.index(header) + method] = 99


@pytest.mark.parametrize("change", [with_a_password, packed_in_a_new_way])
def test_a_zip_that_python_cannot_open_is_told_and_what_to_do(tmp_path, change):
    escaping_zip(tmp_path / "own.zip", "harmless")
    archive = bytearray((tmp_path / "own.zip").read_bytes())
    change(archive)
    (tmp_path / "own.zip").write_bytes(archive)
    with pytest.raises(
        InputError, match=r"own\.zip: cannot read ratings\.dat: .*unpack it yourself"
    ):
        fetch(source(), tmp_path / "raw", tmp_path / "own.zip")


def test_a_damaged_lzma_is_a_broken_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ratings.dat", RATINGS * 1000)
    content = bytearray((tmp_path / "own.zip").read_bytes())
    content[60:80] = b"\xff" * 20
    (tmp_path / "own.zip").write_bytes(content)
    with pytest.raises(InputError, match="broken"):
        fetch(source(), tmp_path / "raw", tmp_path / "own.zip")


def test_gits_sum_of_a_file(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")  # echo hello | git hash-object --stdin
    assert git_blob(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_from_raw_to_check_on_the_command_line(tmp_path, monkeypatch, capsys):
    rows = [f"{user}::{item}::5::{978300760 + item}\n" for user in (1, 2) for item in range(1, 5)]
    own = tmp_path / "ratings.dat"
    own.write_text("".join(rows))
    right = hashlib.sha256(own.read_bytes()).hexdigest()
    properties = tmp_path / "properties" / "dataset"
    properties.mkdir(parents=True)
    (properties / "toy.yaml").write_text(
        "source:\n  format: movielens_dat\n  home: here\n  files:\n"
        f"    ratings: {{name: ratings.dat, sha256: {right}}}\n"
        "  rows: {ratings: 8}\n  statistics: {users: 2, items: 4, interactions: 8, density: 1.0}\n"
    )
    for module in ("fetch", "source"):
        where = f"llm4rec_recbole.data.{module}.properties_folder"
        monkeypatch.setattr(where, lambda: tmp_path / "properties")
    monkeypatch.chdir(tmp_path)
    assert llm4rec(["fetch", "toy"]) == 2
    assert "no known address of ratings.dat; see here" in capsys.readouterr().err
    assert llm4rec(["prepare", "--dataset", "toy"]) == 2
    assert "the data set toy is not here (llm4rec fetch toy)" in capsys.readouterr().err
    assert llm4rec(["fetch", "toy", "--from", str(own)]) == 0
    assert llm4rec(["prepare", "--dataset", "toy"]) == 0
    assert llm4rec(["fetch", "toy", "--check"]) == 0
    said = capsys.readouterr().out
    for told in (
        "ratings.dat: SHA-256 is right",
        "users: 2, as expected",
        "ratings: 8, as expected",
    ):
        assert told in said
    (tmp_path / "dataset/toy/raw/ratings.dat").write_text("".join(rows[:-1]))
    assert llm4rec(["fetch", "toy", "--check"]) == 1
    assert f"instead of {right}" in capsys.readouterr().out
    assert llm4rec(["fetch", "toys"]) == 2
    assert "nearest is 'toy'" in capsys.readouterr().err


@pytest.fixture
def checked(tmp_path):
    """A source with all that --check compares, and its data set prepared."""
    from llm4rec_recbole.data.convert import convert

    raw, out = tmp_path / "raw", tmp_path / "toy"
    raw.mkdir()
    (raw / "ratings.dat").write_bytes(RATINGS)
    one = source(rows={"ratings": 20_000}, statistics={"users": 20_000, "items": 7})
    convert(one, raw, out)
    return one, out, raw


def test_a_check_finds_every_kind_of_difference(checked):
    one, out, raw = checked
    assert check(one, out, raw)[1]
    lines, same = check(replace(one, rows={"ratings": 19_999}), out, raw)
    assert (same, "rows of ratings: 20,000, 19,999 expected" in lines) == (False, True)
    lines, same = check(replace(one, statistics={"items": 8}), out, raw)
    assert (same, "items: 7, 8 expected" in lines) == (False, True)
    (raw / "ratings.dat").write_bytes(RATINGS[:-1])
    assert not check(one, out, raw)[1]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "toy.inter: the file is empty"),
        ("{head}", "toy.inter: no rows below the header"),
        ("{head}u\ti\n", "toy.inter:2: 2 columns where the header has 3"),
    ],
)
def test_broken_interactions_are_named_by_a_check(checked, content, line):
    one, out, raw = checked
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    (out / "toy.inter").write_text(content.format(head=head))
    with pytest.raises(InputError, match=line):
        check(one, out, raw)


def test_a_file_that_only_git_knows_is_checked_by_its_sum(tmp_path):
    (tmp_path / "ratings.dat").write_bytes(RATINGS)
    right = git_blob(tmp_path / "ratings.dat")
    for blob, expected in ((right, True), ("0" * 40, False)):
        files = {"ratings": [RawFile("ratings.dat", git_blob=blob)]}
        lines, same = check(Source("toy", "movielens_dat", files), tmp_path, tmp_path)
        assert same is expected
        assert ("is right" in lines[0]) is expected


def test_packing_a_file_by_hand_does_not_lose_its_checksum(checked):
    one, out, raw = checked
    (raw / "ratings.dat").unlink()
    packed = raw / "ratings.dat.gz"
    packed.write_bytes(gzip.compress(RATINGS))
    lines, same = check(one, out, raw)
    assert (same, lines[0]) == (True, "ratings.dat.gz: SHA-256 is right")
    packed.write_bytes(gzip.compress(RATINGS.replace(b"::5::", b"::1::")))
    lines, same = check(one, out, raw)
    assert not same
    assert f"instead of {SUM}" in lines[0]
    packed.write_bytes(gzip.compress(RATINGS)[:-20])
    lines, same = check(one, out, raw)
    assert not same
    assert "broken, perhaps cut short" in lines[0]


def test_a_damaged_report_of_prepare_is_named(checked):
    one, out, raw = checked
    (out / "raw.json").write_text('{"rows": {"ratings": 3}}')
    with pytest.raises(InputError, match=r"raw\.json: not the report of a prepare"):
        check(one, out, raw)


def test_what_came_before_a_download_broke_is_not_read(web, tmp_path):
    files = {
        "ratings": [RawFile("ratings.dat", sha256=SUM, url=f"{web.address}/ratings.dat")],
        "movies": [RawFile("movies.dat", url=f"{web.address}/movies.dat")],
    }
    two = Source("toy", "movielens_dat", files)
    with pytest.raises(InputError, match="404"):
        fetch(two, tmp_path)
    assert (tmp_path / "download/ratings.dat").is_file()  # and unchecked
    with pytest.raises(InputError, match=r"there is no ratings\.dat"):
        raw_files(source(), tmp_path)
    web.files["movies.dat"] = b"1::A::B\n"
    del web.asked[:]
    fetch(two, tmp_path)
    assert [path for path, _ in web.asked] == ["/movies.dat"]  # the other one had come


def test_an_optional_file_that_is_gone_does_not_stop_the_others(web, tmp_path, capsys):
    one = source(f"{web.address}/ratings.dat")
    one.files["users"][0] = RawFile("users.dat", optional=True, url=f"{web.address}/users.dat")
    said = fetch(one, tmp_path)
    assert said == ["ratings.dat: SHA-256 is right", "users.dat: not there; it is optional"]
    assert "users.dat: the server says 404" in capsys.readouterr().err


def test_a_connection_that_breaks_at_an_optional_file_is_told_and_goes_on(web, tmp_path):
    web.files["users.dat"] = b"1::M::25::1::0\n" * 20_000
    one = source(f"{web.address}/ratings.dat")
    one.files["users"][0] = RawFile("users.dat", optional=True, url=f"{web.address}/users.dat")
    download(f"{web.address}/ratings.dat", tmp_path / "download/ratings.dat")
    web.breaks_after = 100_000
    with pytest.raises(InputError, match="broke after 100,000 bytes"):
        fetch(one, tmp_path)
    web.breaks_after = None
    fetch(one, tmp_path)
    assert web.asked[-1] == ("/users.dat", "bytes=100000-")
    assert (tmp_path / "users.dat").read_bytes() == web.files["users.dat"]


def test_what_had_come_whole_is_not_asked_for_again(web, tmp_path):
    came = tmp_path / "download"
    came.mkdir()
    (came / "ratings.dat.part").write_bytes(RATINGS)
    (came / "ratings.dat.part.tag").write_text(web.version)
    fetch(source(f"{web.address}/ratings.dat"), tmp_path)  # the server says 416: no rest
    assert (tmp_path / "ratings.dat").read_bytes() == RATINGS
    assert web.asked == [("/ratings.dat", f"bytes={len(RATINGS)}-")]


def test_ml_100k_has_come_with_recbole_as_its_property_file_says(capsys):
    assert llm4rec(["fetch", "ml-100k"]) == 0
    assert "comes with recbole" in capsys.readouterr().out
    assert llm4rec(["fetch", "ml-100k", "--check"]) == 0
    said = capsys.readouterr().out
    assert "ml-100k.inter: SHA-256 is right" in said
    assert said.count("as expected") == 5


def test_every_source_of_this_project_can_be_read_and_says_what_it_must():
    for name in fetching.sources():
        one = fetching.read_source(name)
        assert one.licence, name
        assert one.home.startswith("https://"), name
        assert one.files, name
        if "Yelp" in one.licence:
            assert one.accept, name
        for file in (file for files in one.files.values() for file in files):
            assert file.sha256 is None or len(file.sha256) == 64, file
