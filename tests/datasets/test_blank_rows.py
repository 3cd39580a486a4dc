"""Items and users of which the raw files say nothing: RecBole drops the interactions of those that
have no row in `.item` or `.user`, so they get a blank one."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.prepare import prepare
from llm4rec_recbole.datasets.spec import Filters, read_spec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.encode_items import item_texts
from llm4rec_recbole.models.genrec.title_model import titles_of, unique_title_tokens

MUSIC = "amazon-musical-instruments"


@pytest.fixture
def reviews(tmp_path):
    """Three users review four items each, i0 to i3; what the metadata says is up to the test."""
    folder = tmp_path / "raw"
    folder.mkdir()
    row = {"overall": 5.0, "reviewText": "x", "summary": "y", "helpful": [0, 0]}
    rows = [
        {
            "reviewerID": f"u{user}",
            "asin": f"i{item}",
            "unixReviewTime": 1_400_000_000 + item,
            **row,
        }
        for user in range(3)
        for item in range(4)
    ]
    path = folder / "reviews_Musical_Instruments_5.json"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def prepared_with(tmp_path, raw, meta: str):
    (raw / "meta_Musical_Instruments.json").write_text(meta)
    summary = prepare(MUSIC, tmp_path / "out", tmp_path / "dataset", raw)
    report = json.loads((tmp_path / "dataset" / MUSIC / "raw.json").read_text())
    return summary, report["rows"]["items"]


def test_an_item_without_metadata_has_a_blank_row_after_the_others(tmp_path, reviews, capsys):
    meta = "".join(
        f"{json.dumps({'asin': asin, 'title': asin.upper(), 'price': 3.5})}\n"
        for asin in ("i3", "i1", "elsewhere")
    )
    summary, rows = prepared_with(tmp_path, reviews, meta)
    assert summary["items"] == 4
    path = tmp_path / "dataset" / MUSIC / f"{MUSIC}.item"
    lines = path.read_text().splitlines()
    assert lines[1:] == ["i3\tI3\t\t\t3.5", "i1\tI1\t\t\t3.5", "i0\t\t\t\t", "i2\t\t\t\t"]
    assert (rows["read"], rows["kept"], rows["blank"]) == (3, 2, 2)
    assert rows["dropped"] == {"no interaction remains": 1}
    line = "products read, 2 kept, 2 blank rows added for ids that it does not describe, 1 dropped"
    assert line in capsys.readouterr().out
    table = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert item_texts(table) == ["I3.", "I1.", "", ""]
    titles, years = titles_of(path, ["i0", "i1", "i2", "i3"])
    assert titles == ["", "I1", "", "I3"]
    tokens = unique_title_tokens(
        titles, years, ["i0", "i1", "i2", "i3"], lambda s: list(s.encode()), 20
    )
    assert len({tuple(item) for item in tokens}) == 4


@pytest.mark.parametrize("meta", ["", '{"asin": "elsewhere", "title": "X"}\n'])
def test_metadata_that_meet_no_interaction_change_nothing_else(tmp_path, reviews, meta):
    summary, rows = prepared_with(tmp_path, reviews, meta)
    assert (summary["items"], summary["interactions"]) == (4, 12)
    assert (rows["kept"], rows["blank"]) == (0, 4)
    assert pd.read_parquet(tmp_path / "out" / "items.parquet")["title"].tolist() == [""] * 4


def test_complete_metadata_give_no_warning(tmp_path, reviews):
    meta = "".join(f"{json.dumps({'asin': f'i{n}', 'title': 'x'})}\n" for n in range(4))
    assert "blank" not in prepared_with(tmp_path, reviews, meta)[1]


def test_users_and_items_of_movielens_have_blank_rows_too(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "ratings.dat").write_text("1::10::5::978300760\n2::11::5::978300760\n")
    (raw / "movies.dat").write_text("11::Heat (1995)::Crime\n")
    (raw / "users.dat").write_text("2::F::25::10::48067\n")
    ratings, items, users = convert(read_spec("ml-1m"), raw, tmp_path / "tiny")
    assert (ratings.blank, items.blank, users.blank) == (0, 1, 1)
    assert (tmp_path / "tiny/ml-1m.item").read_text().splitlines()[2] == "10\t\t"
    assert (tmp_path / "tiny/ml-1m.user").read_text().splitlines()[2] == "1\t\t\t"


def test_a_table_with_a_header_alone_leaves_all_movies_blank(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,4,4.0,1147880044\n")
    (raw / "movies.csv").write_text("movieId,title,genres\n")
    source = read_spec("ml-latest-small").model_copy(update={"filters": Filters(**{})})
    assert convert(source, raw, tmp_path / "tiny")[1].blank == 1
    assert (tmp_path / "tiny/ml-latest-small.item").read_text().splitlines()[1:] == ["4\t\t"]


def test_a_table_without_even_a_header_is_named(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,4,4.0,1147880044\n")
    (tmp_path / "movies.csv").write_text("")
    with pytest.raises(InputError, match=r"movies\.csv: the file is empty"):
        convert(read_spec("ml-latest-small"), tmp_path, tmp_path / "tiny")
