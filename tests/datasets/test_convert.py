"""Raw files to atomic files: whole or not at all, and as RecBole reads them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import read_items
from llm4rec_recbole.datasets.base import LogBuilder, parse_unix_time
from llm4rec_recbole.datasets.convert import convert, table, to_cell, write_inter, write_table
from llm4rec_recbole.datasets.prepare import read_interactions
from llm4rec_recbole.datasets.spec import DatasetSpec, Filters, RawFile, read_spec
from llm4rec_recbole.errors import InputError

FILES = {
    "ratings": [RawFile(name="ratings.dat")],
    "items": [RawFile(name="movies.dat", optional=True)],
}
SOURCE = DatasetSpec(
    dataset="tiny", format="movielens_dat", files=FILES, filters=Filters(rating=">=4")
)
RATINGS = "1::10::5::978300760\n1::20::3::978300761\n2::10::4::978300762\n2::10::4::978300762\n"


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "ratings.dat").write_text(RATINGS)
    (folder / "movies.dat").write_text("10::Heat (1995)::Crime\n20::Casino (1995)::Drama\n")
    return folder


def test_kept_rows_reach_the_atomic_files_and_the_others_the_report(raw, tmp_path):
    row_reports = convert(SOURCE, raw, tmp_path / "tiny")
    DatasetFiles(tmp_path / "tiny", "tiny").check()
    assert (tmp_path / "tiny/tiny.inter").read_text() == (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t10\t5\t978300760\n2\t10\t4\t978300762\n"
    )
    assert (tmp_path / "tiny/tiny.item").read_text().splitlines()[1:] == ["10\tHeat (1995)\tCrime"]
    report = json.loads((tmp_path / "tiny/raw.json").read_text())
    dropped = {"rating is not >=4": 1, "same user, item and time again": 1}
    assert report["rows"]["ratings"] == {
        "unit": "ratings",
        "read": 4,
        "kept": 2,
        "dropped": dropped,
    }
    assert "4 ratings read, 2 kept, 2 dropped: rating is not >=4 (1)" in str(row_reports[0])


def test_a_broken_file_leaves_the_atomic_files_as_they_were(raw, tmp_path):
    convert(SOURCE, raw, tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    (raw / "ratings.dat").write_text(RATINGS + "2::10::4\n")
    with pytest.raises(InputError, match=r"ratings\.dat:5"):
        convert(SOURCE, raw, tmp_path / "tiny")
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()} == before


def test_only_what_an_earlier_version_wrote_is_removed(raw, tmp_path):
    out = tmp_path / "tiny"
    convert(SOURCE, raw, out)
    (out / "my_embeddings.parquet").write_bytes(b"a person's own")
    report = json.loads((out / "raw.json").read_text())
    report["rows"]["reviews"] = report["rows"]["ratings"]
    (out / "raw.json").write_text(json.dumps(report))
    (out / "reviews.parquet").write_bytes(b"of an earlier version")
    (raw / "movies.dat").unlink()
    convert(SOURCE, raw, out)
    assert (out / "my_embeddings.parquet").read_bytes() == b"a person's own"
    assert not (out / "reviews.parquet").exists()
    assert not (out / "tiny.item").exists()


def test_a_missing_raw_file_says_what_to_do(raw, tmp_path):
    (raw / "ratings.dat").unlink()
    with pytest.raises(InputError, match=r"there is no ratings\.dat \(llm4rec fetch tiny\)"):
        convert(SOURCE, raw, tmp_path / "tiny")


def test_raw_files_may_lie_deeper_or_be_gzipped(raw, tmp_path):
    import gzip

    (raw / "ml-1m").mkdir()
    (raw / "ml-1m" / "ratings.dat.gz").write_bytes(gzip.compress(RATINGS.encode()))
    (raw / "ratings.dat").unlink()
    assert convert(SOURCE, raw, tmp_path / "tiny")[0].read == 4


@pytest.mark.parametrize(
    ("ratings", "why"),
    [
        ("1::20::3::978300761\n", r"1 ratings read, 0 kept, 1 dropped: rating is not >=4"),
        ("1::20::9::978300761\n", r"1 ratings read, 0 kept, 1 dropped: rating is not a number"),
        ("", "0 ratings read, 0 kept"),
    ],
)
def test_nothing_left_is_refused_with_what_became_of_the_rows(raw, tmp_path, ratings, why):
    (raw / "ratings.dat").write_text(ratings)
    with pytest.raises(InputError, match=rf"no interaction is left: ratings\.dat: {why}"):
        convert(SOURCE, raw, tmp_path / "tiny")


def test_a_property_file_that_misnames_a_part_is_refused(tmp_path):
    (tmp_path / "tiny.yaml").write_text("source: {format: yelp, files: {}, sum: 7}\n")
    with pytest.raises(InputError, match=r"tiny\.yaml:1: unknown key source.sum"):
        read_spec("tiny", tmp_path)


# From March 1973 on: smaller times beside these could be days, hours or minutes.
times = st.integers(10**8, 4_102_444_799) | st.integers(10**11, 10**13).map(lambda n: n / 1000)
tokens = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5
)


@settings(max_examples=40)
@given(st.lists(st.tuples(tokens, tokens, times, st.sampled_from([0.5, 4, 5])), min_size=1))
def test_interactions_come_back_exactly(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("inter")
    builder = LogBuilder()
    for row in rows:
        builder.add(*row)
    log = builder.build()
    write_inter(folder / "tiny.inter", log)
    types, columns = table(log)
    parsed = read_atomic(folder / "tiny.inter")
    assert [*types.items()] == [*parsed.types.items()]
    assert columns.equals(parsed.columns)  # what the cache holds is what the file says
    DatasetFiles(folder, "tiny").check()
    log = read_interactions(folder / "tiny.inter")
    assert [log.user_tokens[u] for u in log.users] == [row[0] for row in rows]
    assert [log.item_tokens[i] for i in log.items] == [row[1] for row in rows]
    assert np.array_equal(log.times, [row[2] for row in rows])
    ratings = pd.read_csv(folder / "tiny.inter", sep="\t", quoting=3)["rating:float"]
    assert ratings.tolist() == [row[3] for row in rows]


@pytest.mark.parametrize(
    "times",
    [[0, 0], [9, 10, 99, 100, 0, 1], [4_102_444_799, 7], [1.5, 2], [2.0**40, 1], [999, 100]],
    ids=str,
)
def test_times_are_written_as_python_writes_them(tmp_path, times):
    builder = LogBuilder()
    for time in times:
        builder.add("u", "i", float(time))
    write_inter(tmp_path / "x.inter", builder.build())
    text = [line.split("\t")[2] for line in (tmp_path / "x.inter").read_text().splitlines()[1:]]
    whole = all(time == int(time) for time in times)
    assert text == [f"{time:.0f}" if whole else f"{time:.3f}" for time in times]


@settings(max_examples=40)
@given(st.text(), st.lists(st.text(st.characters(exclude_characters="_"))))
def test_any_title_fits_into_one_cell(tmp_path_factory, title, categories):
    folder = tmp_path_factory.mktemp("item")
    table = pd.DataFrame({"item_id": ["1"], "title": [title], "categories": [categories]})
    write_table(folder / "tiny.item", table)
    (folder / "tiny.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t1\t1\n")
    DatasetFiles(folder, "tiny").check()
    words = [
        " ".join("".join(c for c in t if c.isprintable() or c.isspace()).split())
        for t in categories
    ]
    assert len(read_items(folder / "tiny.item")) == 1
    if all(words) and not {"unknown", "unkonwn"} & set(words):
        assert read_items(folder / "tiny.item")["categories"][0] == words


@pytest.mark.parametrize("text", ['"Heat" and more', '"Heat', 'a 7" single', '""', 'end"'])
def test_quotes_mean_nothing_to_recboles_own_reader_either(tmp_path, text):
    columns = {"title": [text] * 2, "categories": [[text], []], "description": [text, "x"]}
    write_table(tmp_path / "tiny.item", pd.DataFrame({"item_id": ["1", "2"]} | columns))
    stock = pd.read_csv(tmp_path / "tiny.item", delimiter="\t", engine="python")  # as in RecBole
    words = [cell.split(" ") for cell in stock["description:token_seq"]]
    assert [list(filter(None, row)) for row in words] == [text.split(" "), ["x"]]
    items = read_items(tmp_path / "tiny.item")
    assert items["title"].tolist() == [text] * 2
    assert items["categories"].tolist() == [[text], []]
    assert items["description"].tolist() == [text, "x"]


def test_a_cell_holds_what_it_was_given():
    assert to_cell('7" vinyl,\t"Greatest\r\nHits"') == '7" vinyl, "Greatest Hits"'
    assert to_cell(["Food Delivery", "Pizza"]) == "Food_Delivery Pizza"
    assert [to_cell(None), to_cell(float("nan")), to_cell([])] == ["", "", ""]
    assert to_cell(24.95) == "24.95"


@settings(max_examples=40)
@given(st.integers(100_000_000, 4_102_444_799))
def test_a_time_is_the_same_in_seconds_and_in_milliparse_unix_time(time):
    assert parse_unix_time(time) == parse_unix_time(time * 1000) == time


@pytest.mark.parametrize("bad", [None, "", "yesterday", -1, float("nan"), 5e9, 1e20, 10**400])
def test_an_invalid_time_is_none(bad):
    assert parse_unix_time(bad) is None
