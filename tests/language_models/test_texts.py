from __future__ import annotations

import pandas as pd

from llm4rec_recbole.language_models.encode_items import item_texts


def table(**columns: list) -> pd.DataFrame:
    return pd.DataFrame({"item_id": ["1", "2"], **columns})


def test_a_text_is_title_year_categories_and_description() -> None:
    items = table(
        title=["Toy Story", "Heat"],
        year=pd.array([1995, 1995], dtype="Int16"),
        categories=[["Animation", "Comedy"], ["Action"]],
        description=["Toys are\n alive.", None],
    )
    assert item_texts(items) == [
        "Toy Story (1995). Animation, Comedy. Toys are alive.",
        "Heat (1995). Action.",
    ]


def test_what_is_not_known_is_left_out() -> None:
    items = table(
        title=["", "Heat"], year=pd.array([1995, None], dtype="Int16"), categories=[["War"], []]
    )
    assert item_texts(items) == ["1995. War.", "Heat."]


def test_without_titles_texts_are_categories_alone() -> None:
    assert item_texts(table(categories=[["War"], ["War"]])) == ["War.", "War."]


def test_an_item_of_which_nothing_is_known_has_no_text() -> None:
    assert item_texts(table()) == ["", ""]


def test_categories_read_back_from_parquet_are_arrays(tmp_path) -> None:
    table(title=["A", "B"], categories=[["War", "Drama"], []]).to_parquet(
        tmp_path / "items.parquet"
    )
    assert item_texts(pd.read_parquet(tmp_path / "items.parquet")) == ["A. War, Drama.", "B."]
