"""The stage: table in, vectors and their description out, or one line of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.encode_items import (
    EncodedTexts,
    encode,
    main,
    read_encoded,
    texts_sha256,
)
from llm4rec_recbole.language_models.text_encoder import HashEncoder


def item_file(folder: Path, *lines: str) -> Path:
    path = folder / "shop.item"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    header = "item_id:token\ttitle:token_seq"
    return item_file(tmp_path, header, "7\tToy Story", "x\t", "9\tHeat")


def test_what_is_written_is_read_back(items: Path, tmp_path: Path) -> None:
    encode(items, tmp_path / "out", "hash-16")
    encoded = read_encoded(tmp_path / "out")
    assert (encoded.model, encoded.dtype, encoded.items) == ("hash-16", "float32", ["7", "x", "9"])
    assert encoded.texts_sha256 == texts_sha256(["Toy Story.", "", "Heat."])
    expected = HashEncoder(16).encode(["Toy Story.", "", "Heat."])
    np.testing.assert_array_equal(encoded.vectors, expected)


def test_vectors_by_token_in_any_order(items: Path, tmp_path: Path) -> None:
    encoded = encode(items, tmp_path / "out", "hash-16")
    vectors = encoded.of_items(["[PAD]", "9", "unheard of", "7"])
    np.testing.assert_array_equal(vectors[[1, 3]], encoded.vectors[[2, 0]])
    assert not vectors[[0, 2]].any()


def test_the_same_table_gives_the_same_bytes(items: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        encode(items, tmp_path / out, "hash-16")
    for name in ("text.safetensors", "text.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_two_lists_of_texts_share_a_checksum() -> None:
    assert len({texts_sha256(t) for t in (["ab"], ["a", "b"], ["a,b"], ['a","b'], ["b", "a"])}) == 5


def test_the_command_says_what_it_did(items: Path, tmp_path: Path, capsys) -> None:
    out = str(tmp_path / "out")
    assert main(["--items", str(items), "--out", out, "--model", "hash-16"]) == 0
    assert "2 of 3 items have text; 16 numbers each by hash-16" in capsys.readouterr().out


def test_a_table_without_titles_works_and_says_so(tmp_path: Path, capsys) -> None:
    items = item_file(tmp_path, "item_id:token\tcategories:token_seq", "1\tWar")
    arguments = ["--items", str(items), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--model", "hash-16"]) == 0
    printed = capsys.readouterr()
    assert "no titles" in printed.err
    assert "1 of 1 items have text" in printed.out


@pytest.mark.parametrize("content", [None, b"not an atomic file"])
def test_a_table_missing_or_broken_is_one_line(
    content: bytes | None, tmp_path: Path, capsys
) -> None:
    if content:
        (tmp_path / "shop.item").write_bytes(content)
    arguments = ["--items", str(tmp_path / "shop.item"), "--out", str(tmp_path / "out")]
    assert run_command("encode_items", lambda: main([*arguments, "--model", "hash-16"])) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_vectors_of_another_writing_are_refused(items: Path, tmp_path: Path) -> None:
    encode(items, tmp_path / "out", "hash-16")
    about = json.loads((tmp_path / "out/text.json").read_text())
    encode(items, tmp_path / "out", "hash-8")
    (tmp_path / "out/text.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="describes other vectors"):
        read_encoded(tmp_path / "out")


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000])
def test_a_damaged_description_is_one_line(text: str, items: Path, tmp_path: Path) -> None:
    encode(items, tmp_path / "out", "hash-16")
    (tmp_path / "out/text.json").write_text(text)
    with pytest.raises(InputError, match="not a file of encoded texts"):
        read_encoded(tmp_path / "out")


@pytest.mark.parametrize("name", ["text.safetensors", "text.json"])
def test_a_missing_file_names_the_stage_to_run(name: str, items: Path, tmp_path: Path) -> None:
    encode(items, tmp_path / "out", "hash-16")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(InputError, match="run the `encode` stage"):
        read_encoded(tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_one_line_and_the_vectors_are_used(
    items: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    encoded = encode(items, tmp_path / "work" / "out", "hash-16")
    np.testing.assert_array_equal(encoded.vectors[0], HashEncoder(16).encode(["Toy Story."])[0])
    (line,) = capsys.readouterr().err.splitlines()
    assert "text vectors are not cached" in line
    arguments = ["--items", str(items), "--out", str(tmp_path / "work" / "out")]
    assert (
        run_command("encode_items", lambda: main([*arguments, "--model", "hash-16"])) == 2
    )  # the stage exists to write them
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_empty_table_has_no_vectors() -> None:
    empty = EncodedTexts("hash-16", "float32", texts_sha256([]), [], np.zeros((0, 16)))
    assert empty.of_items(["[PAD]", "1"]).shape == (2, 16)
    assert not empty.of_items(["[PAD]", "1"]).any()
