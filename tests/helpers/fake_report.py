"""Runs the report command on a results folder of a test."""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.cli.run import llm4rec


def make_report(results: Path) -> int:
    """The exit code; page, figure and failure notes lie beside `results`."""
    place = results.parent
    paths = {"--results": results, "--failures": place / "failures", "--out": place / "report.html",
             "--figure": place / "rankings.svg"}  # fmt: skip
    return llm4rec(["report", *(str(x) for pair in paths.items() for x in pair)])
