"""Data without each user's last interaction, and the report of the study."""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies import shortened


def test_only_the_last_interaction_of_each_user_is_removed(tmp_path: Path) -> None:
    """Of equal times the last in the file; ids that look like numbers stay as they are."""
    source = tmp_path / "shop"
    source.mkdir()
    head = "user_id:token\titem_id:token\ttimestamp:float"
    rows = ["01\tNA\t5", "2\tb\t9", "01\tc\t4", "2\td\t9", "01\te\t1"]
    (source / "shop.inter").write_text("\n".join([head, *rows]) + "\n")
    (source / "shop.item").write_text("item_id:token\nNA\n")
    shortened.shorten(source, tmp_path / "data" / "shop")
    text = (tmp_path / "data" / "shop" / "shop.inter").read_text()
    assert text.splitlines() == [head, rows[1], rows[2], rows[4]]
    assert (tmp_path / "data" / "shop" / "shop.item").read_text() == "item_id:token\nNA\n"


def test_every_setting_is_compared_with_an_earlier_one() -> None:
    order = list(shortened.SETTINGS)
    for label, other in shortened.AGAINST.items():
        assert order.index(other) < order.index(label)


def test_the_report_has_a_row_for_each_setting() -> None:
    row = {"dataset": "d", "setting": "a", "valid_ndcg@10": 0.1, "test_ndcg@10": 0.09}
    other = row | {"setting": "b", "against": "a", "difference": -0.01, "standard_error": 0.002}
    page = shortened.report([row, other])
    assert "| a | 0.1000 | 0.0900 | – | – |" in page
    assert "| b | 0.1000 | 0.0900 | -0.0100 ± 0.0020 | a |" in page
