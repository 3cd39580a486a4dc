"""MovieLens' CSV files: quotes, blocks, and what a bad row becomes."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.data.line_reader import read_rows
from llm4rec_recbole.datasets.base import RowReport
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.readers import movielens
from llm4rec_recbole.datasets.readers.movielens import read_ratings
from llm4rec_recbole.datasets.spec import read_spec
from llm4rec_recbole.errors import InputError
from tests.campaigns.shop import write_raw_ratings

HEADER = "userId,movieId,rating,timestamp\n"


def ratings(tmp_path, text: str):
    path = tmp_path / "ratings.csv"
    path.write_text(text, newline="")
    row_report = RowReport(path, "ratings")
    return read_ratings(path, row_report), row_report


def tokens(log):
    return [
        (log.user_tokens[u], log.item_tokens[i], r, t)
        for u, i, r, t in zip(log.users, log.items, log.ratings, log.times)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_ratings_keep_their_order_whatever_the_columns_order(tmp_path, end):
    text = (
        f'rating,userId,movieId,timestamp{end}5.0,2,296,1147880044{end}3.5,1,"306",1147868817{end}'
    )
    log, row_report = ratings(tmp_path, text)
    assert tokens(log) == [("2", "296", 5, 1147880044), ("1", "306", 3.5, 1147868817)]
    assert (row_report.read, row_report.remaining) == (2, 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",5,4.0,1147880044", "an id is missing or not a whole number"),
        ("1,x,4.0,1147880044", "an id is missing or not a whole number"),
        ("-3,5,4.0,1147880044", "an id is missing or not a whole number"),
        ("1,-3,4.0,1147880044", "an id is missing or not a whole number"),
        ("0x10,5,4.0,1147880044", "an id is missing or not a whole number"),
        ("1,0X10,4.0,1147880044", "an id is missing or not a whole number"),
        ("1,1_0,4.0,1147880044", "an id is missing or not a whole number"),
        ("1,5,٥,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,0_4,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,4.0,1147_880_044", "time is missing or not a Unix time"),
        ("1,5,,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,7.5,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,0.4,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,nan,1147880044", "rating is not a number from 0.5 to 5"),
        ("1,5,4.0,", "time is missing or not a Unix time"),
        ("1,5,4.0,-3", "time is missing or not a Unix time"),
        ("1,5,4.0,4102444800", "time is missing or not a Unix time"),  # the year 2100
        ("1,5,4.0,yesterday", "time is missing or not a Unix time"),
    ],
)
def test_a_bad_row_is_dropped_with_its_reason_and_line(tmp_path, row, reason):
    log, row_report = ratings(tmp_path, f"{HEADER}1,4,4.0,1147880044\n{row}\n")
    assert len(log) == row_report.remaining == 1
    assert row_report.dropped == {reason: 1}
    assert row_report.first_line == {reason: 3}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (HEADER + "1,4,4.0,1147880044\n1,4,4.0\n", 3, "3 cells where the header has 4"),
        (HEADER + "1,4,4.0,1147880044\n\n", 3, "0 cells where the header has 4"),
        (HEADER + "1,4,4.0,1147880044\n1,4,4.0,11478", 3, "last line has no end"),
        (
            "userId,movie,rating,timestamp\n1,2,3,4\n",
            1,
            "column 'movieId' is missing.*did you mean movie",
        ),
        ("", None, "the file is empty"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, text, line, message):
    with pytest.raises(InputError, match=message) as error:
        ratings(tmp_path, text)
    assert error.value.line == line


rows = st.tuples(
    st.integers(1, 300),
    st.integers(1, 10**12),
    st.sampled_from([0.5, 3.0, 4.5, 5.0, 9.0]),
    st.integers(10**8, 2 * 10**9),  # smaller ones beside these could be minutes
)


@settings(max_examples=40)
@given(st.lists(rows, min_size=1, max_size=40), st.integers(10, 400))
def test_blocks_and_rows_one_by_one_give_the_same(tmp_path_factory, rows, n_bytes):
    text = HEADER + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in rows)
    folder = tmp_path_factory.mktemp("ratings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movielens, "_BLOCK_BYTES", n_bytes)
        fast, fast_report = ratings(folder, text)
        patch.setattr(movielens, "_parse", lambda block, header: None)
        slow, slow_report = ratings(folder, text)
    assert tokens(fast) == tokens(slow)
    assert tokens(fast) == [(str(u), str(i), r, t) for u, i, r, t in rows if r <= 5]
    assert fast_report.dropped == slow_report.dropped
    assert fast_report.first_line == slow_report.first_line


def test_a_header_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ratings\.csv: it has no rating"):
        ratings(tmp_path, HEADER)


def test_ids_may_lie_as_far_apart_as_numbers_do(tmp_path):
    least, most = 1, 2**63 - 1
    text = f"{HEADER}{least},{most},4.0,1147880044\n{most},{least},4.0,1147880044\n"
    log, _ = ratings(tmp_path, text)
    assert tokens(log) == [
        (str(least), str(most), 4, 1147880044),
        (str(most), str(least), 4, 1147880044),
    ]


def test_the_least_rating_and_the_last_moment_are_kept(tmp_path):
    log, row_report = ratings(tmp_path, f"{HEADER}0,0,0.5,4102444799\n")
    assert tokens(log) == [("0", "0", 0.5, 4102444799)]
    assert not row_report.dropped


def test_milliseconds_are_read_in_blocks_too(tmp_path):
    log, _ = ratings(tmp_path, f"{HEADER}1,4,4.0,1147880044\n1,5,4.0,1147880044250\n")
    assert log.times.tolist() == [1147880044, 1147880044.25]


def test_quotes_and_commas_in_titles(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text(
        'movieId,title,genres\r\n11,"American President, The (1995)",Drama\r\n'
        '2,"""Great Performances"" Cats (1998)",Musical\r\n3,"two\r\nlines",X\r\n4,plain,X\r\n',
        newline="",
    )
    assert list(read_rows(path, ["movieId", "title"])) == [
        (2, ["11", "American President, The (1995)"]),
        (3, ["2", '"Great Performances" Cats (1998)']),
        (4, ["3", "two\nlines"]),
        (6, ["4", "plain"]),
    ]


def test_a_quote_that_is_never_closed_is_refused_at_its_row(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text('movieId,title,genres\n1,ok,X\n2,"open,X\n3,ok,X\n')
    with pytest.raises(InputError, match="quotes do not match") as error:
        list(read_rows(path, ["title"]))
    assert error.value.line == 3


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff")), min_size=1))
def test_any_title_survives_the_csv_format(tmp_path_factory, titles):
    path = tmp_path_factory.mktemp("csv") / "movies.csv"
    table = pd.DataFrame({"movieId": range(len(titles)), "title": titles})
    table.to_csv(path, index=False, quoting=1)
    assert [cells[0] for _, cells in read_rows(path, ["title"])] == titles


def test_tags_without_a_rating_of_their_user_are_dropped(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "ratings.csv").write_text(f"{HEADER}1,4,4.0,1147880044\n2,9,4.0,1147880044\n")
    (raw / "movies.csv").write_text(
        'movieId,title,genres\n4,"Hours, The",Drama\n9,X,(no genres listed)\n'
    )
    (raw / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\n1,4,slow,1147880050\n1,9,fun,1147880050\n2,9,,1147880050\n"
    )
    row_reports = convert(read_spec("ml-25m"), raw, tmp_path / "tiny")
    assert row_reports[2].dropped == {
        "its pair has no interaction that is used": 1,
        "the tag is empty": 1,
    }
    tags = pd.read_parquet(tmp_path / "tiny" / "tags.parquet")
    assert tags[["user_id", "item_id", "tag"]].to_numpy().tolist() == [["1", "4", "slow"]]
    assert (tmp_path / "tiny" / "ml-25m.item").read_text().splitlines()[2] == "9\tX\t"


@pytest.mark.realdata
def test_all_rows_of_ml_latest_small_are_accounted_for(real_data, prepared):
    summary, rows = prepared("ml-latest-small", real_data("ml-latest-small"))
    source = read_spec("ml-latest-small")
    assert {
        name: summary[name] for name in source.expected_statistics
    } == source.expected_statistics
    assert {role: rows[role]["read"] for role in rows} == source.expected_rows
    assert rows["ratings"]["dropped"] == {}
    assert rows["items"]["dropped"] == {"no interaction remains": 18}
    assert rows["tags"]["dropped"] == {"its pair has no interaction that is used": 207}


@pytest.mark.realdata
def test_all_rows_of_the_slice_of_ml_25m_are_accounted_for(real_data, prepared, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("ratings.csv", "movies.csv"):  # without the edited files that lie there too
        shutil.copy(real_data("ml-25m-slice") / name, raw)
    summary, rows = prepared("ml-25m", raw)
    assert rows["ratings"] == {"unit": "ratings", "read": 100_000, "kept": 100_000, "dropped": {}}
    assert rows["items"]["read"] == 62_423
    assert rows["items"]["dropped"] == {"no interaction remains": 62_423 - 9786}
    assert (summary["users"], summary["items"]) == (757, 9786)


def test_days_beside_seconds_are_refused(tmp_path):
    raw = write_raw_ratings(tmp_path) / "raw"
    lines = (raw / "ratings.csv").read_text().splitlines()
    lines[5] = f"{lines[5].rpartition(',')[0]},11574"
    (raw / "ratings.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="the time 11574 is in days, others are in seconds"):
        convert(read_spec("ml-latest-small"), raw, tmp_path / "out")
