"""Amazon's and Yelp's JSON lines: reviews, items, users, and what a bad row becomes."""

from __future__ import annotations

import gzip
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.datasets.base import RowReport, parse_unix_time
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.events import training_events
from llm4rec_recbole.datasets.readers import reviews
from llm4rec_recbole.datasets.readers.json_lines import read_objects
from llm4rec_recbole.datasets.readers.reviews import parse_price
from llm4rec_recbole.datasets.spec import Filters, read_spec
from llm4rec_recbole.errors import InputError

OF_2014 = {"reviewerID": "A1", "asin": "B1", "helpful": [13, 14], "reviewText": "Loud & clear"}
OF_2014 |= {"overall": 5.0, "summary": "good", "unixReviewTime": 1393545600}
OF_2023 = {"user_id": "A1", "asin": "B1-red", "parent_asin": "B1", "title": "good", "rating": 4.0}
OF_2023 |= {"text": "Loud", "timestamp": 1658185117948, "helpful_vote": 3}
OF_YELP = {"user_id": "A1", "business_id": "B1", "stars": 4.0, "useful": 2, "text": "Loud"}
OF_YELP |= {"date": "2018-07-07 22:09:11"}
FORMATS = [
    (reviews.read_amazon_2014, OF_2014),
    (reviews.read_amazon_2023, OF_2023),
    (reviews.read_yelp, OF_YELP),
]
NAMES = {
    "user": ("reviewerID", "user_id", "user_id"),
    "item": ("asin", "parent_asin", "business_id"),
}
NAMES |= {"rating": ("overall", "rating", "stars"), "time": ("unixReviewTime", "timestamp", "date")}


def read(reader, tmp_path, reviews, **others):
    files = {}
    for role, rows in {"reviews": reviews, **others}.items():
        files[role] = tmp_path / f"{role}.json"
        files[role].write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return reader(files, tmp_path)


@pytest.mark.parametrize(
    ("reader", "row", "time", "review"),
    [
        (reviews.read_amazon_2014, OF_2014, 1393545600, ["good", "Loud & clear", 13, 14]),
        (reviews.read_amazon_2023, OF_2023, 1658185117.948, ["good", "Loud", 3, None]),
        (reviews.read_yelp, OF_YELP, 1531001351, [None, "Loud", 2, None]),
    ],
    ids=["2014", "2023", "yelp"],
)
def test_a_review_is_an_interaction_and_what_was_written(tmp_path, reader, row, time, review):
    data = read(reader, tmp_path, [row])
    log = data.log
    assert (log.user_tokens[0], log.item_tokens[0]) == ("A1", "B1")
    assert (log.times[0], log.ratings[0]) == (time, row.get("overall", 4.0))
    table = pd.read_parquet(data.events["reviews"].path)
    written = table[["summary", "text", "helpful", "votes"]].astype(object)
    assert written.where(written.notna(), None).to_numpy().tolist() == [review]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["2014", "2023", "yelp"])
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("user", None, "an id is missing or unusable"),
        ("user", "", "an id is missing or unusable"),
        ("item", "", "an id is missing or unusable"),
        ("user", "John Smith", "an id is missing or unusable"),
        ("item", 7, "an id is missing or unusable"),
        ("rating", None, "rating is not a number from 1 to 5"),
        ("rating", 0, "rating is not a number from 1 to 5"),
        ("rating", 5.5, "rating is not a number from 1 to 5"),
        ("rating", "five", "rating is not a number from 1 to 5"),
        ("rating", True, "rating is not a number from 1 to 5"),
        ("time", None, "time is missing or not a Unix time"),
        ("time", True, "time is missing or not a Unix time"),
        ("time", "1_0", "time is missing or not a Unix time"),
        ("time", "once", "time is missing or not a Unix time"),
    ],
)
def test_a_bad_review_is_dropped_with_its_reason_and_line(tmp_path, which, field, value, reason):
    reader, row = FORMATS[which]
    name = NAMES[field][which]
    for bad in ({**row, name: value}, {k: v for k, v in row.items() if k != name or value}):
        if value and bad.get(name) == row[name]:
            continue
        row_report = read(reader, tmp_path, [row, bad]).row_reports["reviews"]
        assert (row_report.read, row_report.remaining, row_report.dropped) == (2, 1, {reason: 1})
        assert row_report.first_line == {reason: 2}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["2014", "2023", "yelp"])
def test_words_for_missing_values_are_ids(tmp_path, which):
    reader, row = FORMATS[which]
    words = ["NA", "None", "null", "nan", "N/A"]
    rows = [row | {NAMES["user"][which]: word, NAMES["item"][which]: word} for word in words]
    data = read(reader, tmp_path, rows)
    assert data.log.user_tokens.tolist() == data.log.item_tokens.tolist() == words
    assert pd.read_parquet(data.events["reviews"].path)["item_id"].tolist() == words


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        (reviews.read_amazon_2014, {**OF_2014, "helpful": [True, False]}),
        (reviews.read_amazon_2023, {**OF_2023, "helpful_vote": True}),
        (reviews.read_yelp, {**OF_YELP, "useful": True}),
    ],
    ids=["2014", "2023", "yelp"],
)
def test_booleans_are_not_counts(tmp_path, reader, row):
    data = read(reader, tmp_path, [row])
    table = pd.read_parquet(data.events["reviews"].path)
    assert table[["helpful", "votes"]].isna().all(axis=None)


@pytest.mark.parametrize("zone", ["+02:00", "+0200"])
def test_a_date_of_yelp_that_names_its_zone_is_taken_at_its_word(zone):
    assert reviews.parse_date(f"2018-07-07 22:09:11{zone}") == 1531001351 - 2 * 3600
    assert reviews.parse_date("2018-07-07T22:09:11Z") == 1531001351


def test_seconds_and_milliseconds_may_be_mixed(tmp_path):
    rows = [{**OF_2023, "timestamp": t} for t in (1658185117948, 1658185117)]
    assert read(reviews.read_amazon_2023, tmp_path, rows).log.times.tolist() == [
        1658185117.948,
        1658185117,
    ]


def test_products_of_2014_may_be_python_literals(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text(
        "{'asin': 'B1', 'title': 'Bob\\'s &amp; Co', 'price': 12.99, 'salesRank': {'Toys': 3},"
        " 'categories': [['Toys', 'Games'], ['Toys', 'Cards']]}\n"
        '{"asin": "B1"}\n{"title": "no id"}\n{"asin": "B2", "title": null, "price": "$1,299.50"}\n'
    )
    row_report = RowReport(path, "products")
    table = reviews.read_products(path, row_report)
    assert table.iloc[0].tolist() == ["B1", "Bob's & Co", ["Toys", "Games", "Cards"], "", 12.99]
    assert table.iloc[1].tolist() == ["B2", "", [], "", 1299.5]
    assert row_report.dropped == {"an id that came before": 1, "an id is missing or unusable": 1}


def test_python_code_in_a_value_is_not_run(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text("{'asin': __import__('os').getcwd()}\n")
    with pytest.raises(InputError, match=r"meta\.json:1: not JSON, or cut in half"):
        list(read_objects(path, python=True))


def test_a_product_of_2023(tmp_path):
    meta = {"parent_asin": "B1", "title": "FPV", "features": ["fast"], "description": []}
    meta |= {"price": None, "categories": [], "main_category": "All Electronics"}
    meta |= {"details": {"Date First Available": "August 2, 2014"}, "average_rating": 3.5}
    items = read(reviews.read_amazon_2023, tmp_path, [OF_2023], items=[meta]).items
    assert items.to_dict("records") == [
        {
            "item_id": "B1",
            "title": "FPV",
            "year": "2014",
            "categories": ["All Electronics"],
            "description": "fast",
            "price": None,
        }
    ]


@pytest.mark.parametrize("categories", [5, None, "Toys", {"Toys": 1}])
def test_categories_of_2023_that_are_no_list_are_not_read(tmp_path, categories):
    meta = {"parent_asin": "B1", "categories": categories, "main_category": "All Electronics"}
    items = read(reviews.read_amazon_2023, tmp_path, [OF_2023], items=[meta]).items
    assert items["categories"].tolist() == [["All Electronics"]]


def test_yelps_other_files(tmp_path):
    data = read(
        reviews.read_yelp,
        tmp_path,
        [OF_YELP],
        items=[
            {"business_id": "B1", "name": "Sal's", "city": "Reno", "state": "NV", "stars": 4.5,
             "categories": "Pizza, Food Delivery", "attributes": {"RestaurantsPriceRange2": "2"}},
            {"business_id": "B2", "name": "X", "categories": None, "attributes": None},
        ],
        users=[
            {"user_id": "A1", "yelping_since": "2009-05-02 10:00:00", "elite": "2010,2011"},
            {"user_id": "A2", "yelping_since": None, "elite": ""},
        ],
        tips=[
            {"user_id": "A1", "business_id": "B1", "text": "go", "date": "2019-01-01 00:00:00"},
            {"user_id": "A1", "business_id": "B1", "text": "go", "date": "soon"},
        ],
        checkins=[{"business_id": "B1", "date": "2020-03-13 21:10:56, 2020-06-02 22:18:06"}],
    )  # fmt: skip
    assert data.items["title"].tolist() == ["Sal's", "X"]
    assert data.items["categories"].tolist() == [["Pizza", "Food Delivery"], []]
    assert data.items["description"].tolist() == ["Reno, NV", ""]
    assert data.items[["city", "state"]].to_numpy().tolist() == [["Reno", "NV"], ["", ""]]
    assert data.items["price"].tolist()[0] == 2
    assert "stars" not in data.items
    assert data.users["elite"].tolist() == ["yes", "no"]
    assert data.users["since"].fillna("").tolist() == ["2009", ""]
    assert data.row_reports["tips"].dropped == {"time is missing or not a date": 1}
    assert data.row_reports["checkins"].read == data.row_reports["checkins"].remaining == 2
    assert len(pd.read_parquet(data.events["checkins"].path)) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"a": 1}\n{"a": 1, "b\n{"a": 2}\n', 2), ('{"a": 1}\n[1]\n', 2), ('{"a": 1}\n\n', 2),
     ('{"a": 1}\n{"a": 1, "b": ', 2)],
)  # fmt: skip
def test_a_line_cut_in_half_is_refused_with_its_number(tmp_path, text, line):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError) as error:
        list(read_objects(tmp_path / "r.json"))
    assert error.value.line == line


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers()), st.data())
def test_no_cut_object_is_taken_for_whole(tmp_path_factory, value, data):
    whole = json.dumps(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("cut") / "r.json"
    path.write_bytes(gzip.compress(f'{{"a": 1}}\n{whole[:cut]}\n'.encode()))
    with pytest.raises(InputError) as error:
        list(read_objects(path))
    assert error.value.line == 2


@pytest.mark.parametrize(
    ("value", "price"),
    [
        *[(24.95, 24.95), ("$1,299.00", 1299), ("7", 7), ("from $5", None), ("—", None)],
        *[(True, None), (None, None), (-1, None), (float("nan"), None), ("1,2", None)],
    ],
)
def test_prices(value, price):
    assert parse_price(value) == price


def test_times_end_before_the_year_2100():
    assert parse_unix_time(4102444799) == parse_unix_time(4102444799000) == 4102444799
    assert parse_unix_time(4102444800) is parse_unix_time(4102444800000) is None
    assert parse_unix_time(10**11) == 10**8  # milliseconds from here on


def test_reviews_go_with_their_interactions_and_a_feature_sees_only_training(tmp_path):
    """The duplicate goes, v's only review falls out of the 2-core, and with it its text."""
    rows = [{**OF_2014, "reviewerID": u, "asin": i, "reviewText": f"{u}{i}", "unixReviewTime": t}
            for u, i, t in [("u", "a", 1), ("u", "a", 1), ("v", "c", 2), ("u", "b", 3),
                            ("w", "a", 4), ("w", "b", 5)]]  # fmt: skip
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "reviews_Electronics_5.json").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    source = read_spec("amazon-electronics").model_copy(update={"filters": Filters(**{"core": 2})})
    (row_report,) = convert(source, raw, tmp_path / "tiny")
    dropped = {"same user, item and time again": 1}
    assert row_report.dropped == dropped | {"its user or item has fewer than 2 interactions": 1}
    path = tmp_path / "tiny" / "reviews.parquet"
    assert pd.read_parquet(path)["text"].tolist() == ["ua", "ub", "wa", "wb"]
    assert training_events(path, ["u", "w"], ["a", "b"])["text"].tolist() == ["ua", "wb"]
    assert training_events(path, ["u", "w"], ["a", "b"], before=5)["text"].tolist() == ["ua"]


@pytest.mark.realdata
def test_all_reviews_of_musical_instruments_arrive(real_data, prepared, tmp_path):
    summary, rows = prepared(
        "amazon-musical-instruments", real_data("amazon-musical-instruments-2014")
    )
    assert (summary["users"], summary["items"], summary["interactions"]) == (1429, 900, 10_261)
    assert rows["reviews"]["dropped"] == {}
    reviews = pd.read_parquet(tmp_path / "dataset/amazon-musical-instruments/reviews.parquet")
    assert len(reviews) == 10_261
    assert reviews["text"].isna().sum() == 7


@pytest.mark.realdata
def test_all_sequences_and_products_of_amazon_movies_arrive(real_data, prepared, tmp_path):
    summary, rows = prepared("amazon-movies", real_data("amazon-movies-gid"))
    assert (summary["users"], summary["items"], summary["interactions"]) == (3048, 3658, 250_347)
    assert rows["items"]["dropped"] == rows["sequences"]["dropped"] == {}
    items = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["categories"].map(len).min() >= 1
    assert {"description", "price"} <= set(items)


@pytest.mark.realdata
def test_all_sequences_of_the_part_of_amazon_electronics_arrive(real_data, prepared):
    summary, rows = prepared("amazon-electronics-gid", real_data("amazon-electronics-gid"))
    assert (summary["users"], summary["items"], summary["interactions"]) == (9699, 7679, 204_934)
    assert rows["sequences"]["dropped"] == {}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("dataset", "folder", "reviews", "items"),
    [
        ("amazon-electronics-2023", "amazon-electronics-2023-slice", 500, 500),
        ("yelp-2023", "yelp-raw-slice", 999, 1000),
    ],
)
def test_all_rows_of_a_slice_are_accounted_for(
    real_data, tmp_path, dataset, folder, reviews, items
):
    """A slice has no 5-core, so it is left out here."""
    source = read_spec(dataset).model_copy(update={"filters": Filters(**{})})
    of_reviews, of_items = convert(source, real_data(folder), tmp_path)
    assert of_reviews.read == reviews
    assert of_items.read == items
    assert set(of_reviews.dropped) <= {"same user, item and time again"}
    assert set(of_items.dropped) <= {"no interaction remains", "an id that came before"}
