"""MovieLens-1M's files: nothing vanishes, and what is broken is named."""

from __future__ import annotations

import pandas as pd
import pytest

from llm4rec_recbole.datasets.readers.movielens import read_dat
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile
from llm4rec_recbole.errors import InputError

SOURCE = DatasetSpec(
    dataset="tiny", format="movielens_dat", files={"ratings": [RawFile(name="ratings.dat")]}
)


def read_text(tmp_path, **texts):
    files = {}
    for role, text in texts.items():
        files[role] = tmp_path / f"{role}.dat"
        files[role].write_bytes(text.encode("utf-8" if "٥" in text else "latin-1"))
    return read_dat(files, tmp_path)


def test_ratings_movies_and_users_are_read(tmp_path):
    data = read_text(
        tmp_path,
        ratings="1::1193::5::978300760\n1::661::3::978302109\n",
        items="1193::Misérables, Les (1998)::Drama|Musical\n",
        users="1::F::1::10::48067\n",
    )
    assert data.log.ratings.tolist() == [5, 3]
    assert data.log.times.tolist() == [978300760, 978302109]
    assert data.items.to_dict("records") == [
        {"item_id": "1193", "title": "Misérables, Les (1998)", "categories": ["Drama", "Musical"]}
    ]
    assert data.users.to_dict("records") == [
        {"user_id": "1", "gender": "F", "age": "1", "occupation": "10"}
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("::5::4::978300760", "an id is missing or unusable"),
        ("7 ::5::4::978300760", "an id is missing or unusable"),
        ("1::x y::4::978300760", "an id is missing or unusable"),
        ("1::5::٥::978300760", "rating is not a number from 0.5 to 5"),
        ("1::5::4::978_300_760", "time is missing or not a Unix time"),
        ("1::5::::978300760", "rating is not a number from 0.5 to 5"),
        ("1::5::11::978300760", "rating is not a number from 0.5 to 5"),
        ("1::5::nan::978300760", "rating is not a number from 0.5 to 5"),
        ("1::5::4::", "time is missing or not a Unix time"),
        ("1::5::4::-7", "time is missing or not a Unix time"),
    ],
)
def test_a_row_that_says_too_little_is_dropped_with_its_reason_and_line(tmp_path, row, reason):
    data = read_text(tmp_path, ratings=f"1::5::4::978300760\n{row}\n")
    row_report = data.row_reports["ratings"]
    assert (row_report.read, row_report.remaining, row_report.dropped) == (2, 1, {reason: 1})
    assert row_report.first_line == {reason: 2}
    assert f"{reason} (1, first in line 2)" in str(row_report)


def test_milliseconds_become_seconds(tmp_path):
    data = read_text(tmp_path, ratings="1::5::4::978300760\n1::6::4::978300761250\n")
    assert data.log.times.tolist() == [978300760, 978300761.25]


def test_a_cut_row_is_refused_with_file_and_line(tmp_path):
    message = r"ratings\.dat:2: 3 fields, separated by '::', instead of 4"
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, ratings="1::5::4::978300760\n1::6::4\n")


@pytest.mark.realdata
def test_all_rows_of_ml_1m_are_accounted_for(real_data, prepared, tmp_path):
    summary, rows = prepared("ml-1m", real_data("ml-1m"))
    assert (summary["users"], summary["items"], summary["interactions"]) == (6038, 3533, 575_281)
    assert rows["ratings"]["dropped"] == {}
    assert (rows["items"]["read"], rows["users"]["read"]) == (3883, 6040)
    assert rows["items"]["dropped"] == {"no interaction remains": 350}
    assert rows["users"]["dropped"] == {"no interaction remains": 2}
    items = pd.read_parquet(tmp_path / "out" / "items.parquet").set_index("item_id")
    assert items.loc["11", "title"] == "The American President"
    assert items.loc["11", "year"] == 1995
    assert items["title"].str.contains("é").any()
    users = pd.read_parquet(tmp_path / "out" / "users.parquet")
    assert users["age"].isin([1, 18, 25, 35, 45, 50, 56]).all()
