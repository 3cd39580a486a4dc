"""The commands that write the paper's tables, run on a test's results, and what they wrote."""

from __future__ import annotations

import csv
from pathlib import Path

from llm4rec_recbole.cli import tables
from llm4rec_recbole.cli.run import llm4rec
from tests.helpers.fake_results import unescaped


def make_tables(results: Path, *options: str) -> int:
    """The exit status of `llm4rec tables`; tables and failure notes lie beside `results`."""
    out, failures = results.parent / "out", results.parent / "failures"
    paths = ["--results", str(results), "--out", str(out), "--failures", str(failures)]
    return llm4rec(["tables", *paths, *options])


def compare_and_make_tables(results: Path, *options: str) -> int:
    """The exit status of `llm4rec tables` after `llm4rec compare`."""
    assert tables.compare(["--results", str(results)]) == 0
    return make_tables(results, *options)


def table_text(results: Path, table: int, kind: str = "md") -> str:
    """The content of a table's file, Markdown without escapes."""
    content = (results.parent / "out" / f"table_{table}.{kind}").read_text(encoding="utf-8")
    return unescaped(content) if kind == "md" else content


def table_row(results: Path, table: int, label: str) -> list[str]:
    """The cells of the one row of a Markdown table that begins with `label`."""
    (line,) = (x for x in table_text(results, table).splitlines() if x.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def table_csv_rows(results: Path, table: int) -> dict[str, dict[str, str]]:
    """The rows of a table's CSV by their label."""
    return {x["row"]: x for x in csv.DictReader(table_text(results, table, "csv").splitlines())}
