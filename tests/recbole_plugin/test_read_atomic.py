"""RecBole reads atomic files by this project's reader: checked, and with its own options."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm4rec_recbole.errors import InputError

HEADER = "user_id:token | item_id:token | timestamp:float"


def test_columns_have_their_types(write: Callable, dataset: Callable) -> None:
    write(
        inter=[HEADER, "007 | a | 881250949", "8 | NA | 1.5"],
        item=["item_id:token | title:token_seq", 'a | "Weird Al', 'NA | It"s null'],
    )
    data = dataset()
    assert data.inter_feat["timestamp"].tolist() == [881250949.0, 1.5]
    assert data.field2id_token["user_id"].tolist() == ["[PAD]", "007", "8"]
    assert data.field2id_token["item_id"].tolist() == ["[PAD]", "a", "NA"]
    assert set(data.field2id_token["title"]) == {"[PAD]", '"Weird', "Al", 'It"s', "null"}


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        (["user_id:token | item_id", "1 | a"], 1, "'item_id' is not name:type"),
        (["user_id:token | item_id:text", "1 | a"], 1, "unknown type 'text'"),
        (["user_id:token | user_id:token", "1 | a"], 1, "named twice"),
        ([HEADER, "1 | a | 5", HEADER, "1 | b | 6"], 3, "the header line again"),
        ([HEADER, "1 | a | 5", "1 | b"], 3, "2 columns where the header has 3"),
        ([HEADER, "1 | a | 5", ""], 3, "1 column where the header has 3"),
        ([HEADER, "1 | a | b | 5"], 2, "4 columns where the header has 3"),
        ([HEADER, "1 | a | 5", "1 | a | soon"], 3, "'soon' is not a finite number"),
        ([HEADER, "1 | a | 5", "1 | a | "], 3, "column 'timestamp': empty"),
        ([HEADER, "1 | a | 5", "1 |  | 5"], 3, "empty item_id"),
        ([HEADER, "1 | a | 1700000000", "1 | b | 1700000060000"], 3, "is in milliseconds"),
        (["user_id:token | thing:token", "1 | a"], 1, "column 'item_id' is missing"),
    ],
)
def test_the_bad_line_is_named_through_recbole_too(
    write: Callable, dataset: Callable, rows: list[str], line: int, message: str
) -> None:
    write(inter=rows)
    with pytest.raises(InputError, match=message) as caught:
        dataset()
    assert caught.value.line == line


@pytest.mark.parametrize("protocol", ["recbole", "loo"])
def test_a_side_file_is_checked_whether_or_not_recbole_loads_it(
    write: Callable, dataset: Callable, protocol: str
) -> None:
    write(inter=[HEADER, "1 | a | 5"], item=["item_id:token | price:float", "a | cheap"])
    with pytest.raises(InputError, match=r"tiny\.item:2: column 'price'"):
        dataset(load_col={"inter": ["user_id", "item_id", "timestamp"]}, protocol=protocol)


def test_times_are_needed_only_where_they_are_used(write: Callable, dataset: Callable) -> None:
    write(inter=["user_id:token | item_id:token", "1 | a"])
    assert len(dataset(protocol="recbole")) == 1
    for options in ({"protocol": "loo"}, {"protocol": "recbole", "model": "SASRec"}):
        with pytest.raises(InputError, match="column 'timestamp' is missing"):
            dataset(**options)


def test_separators_encoding_and_renamed_fields_are_honoured(
    write: Callable, dataset: Callable
) -> None:
    folder = write()
    (folder / "tiny.inter").write_bytes("u:token;i:token;t:float\nü;é;5\n".encode("latin-1"))
    (folder / "tiny.item").write_bytes("i:token;tags:token_seq\né;a|b\n".encode("latin-1"))
    data = dataset(
        field_separator=";",
        seq_separator="|",
        encoding="latin-1",
        USER_ID_FIELD="u",
        ITEM_ID_FIELD="i",
        TIME_FIELD="t",
    )
    assert data.field2id_token["u"].tolist() == ["[PAD]", "ü"]
    assert data.field2id_token["i"].tolist() == ["[PAD]", "é"]
    assert data.field2id_token["tags"].tolist() == ["[PAD]", "a", "b"]


def test_benchmark_parts_train_validate_and_test(write: Callable, dataset: Callable) -> None:
    folder = write()
    header = HEADER.replace(" | ", "\t")
    for number, part in enumerate(("train", "valid", "test")):
        rows = [f"u{n}\ti{number}\t{number}" for n in range(3 - number)]
        (folder / f"tiny.{part}.inter").write_text("\n".join([header, *rows]) + "\n")
    parts = ["train", "valid", "test"]
    data = dataset(protocol="recbole", benchmark_filename=parts)
    built = data.build()
    items = [part.inter_feat["item_id"] for part in built]
    tokens = [data.id2token("item_id", ids.numpy()).tolist() for ids in items]
    assert tokens == [["i0", "i0", "i0"], ["i1", "i1"], ["i2"]]
    with pytest.raises(InputError, match="protocol loo does not read benchmark_filename"):
        dataset(protocol="loo", benchmark_filename=parts)


def test_nanoseconds_stay_exact(write: Callable, dataset: Callable) -> None:
    times = [1_700_000_000_000_000_001, 1_700_000_000_000_000_000]
    write(inter=[HEADER, *(f"u | i{n} | {time}" for n, time in enumerate(times))])
    data = dataset()
    data._change_feat_format()
    assert data.inter_feat["timestamp"].tolist() == times
