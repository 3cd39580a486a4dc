"""What tells methods apart in a figure: their kind, or, where lines cross, a style of their own."""

from __future__ import annotations

from llm4rec_recbole.analysis.table_rows import OURS, REFERENCES

HUES, DASHES = 6, 7  # classes hue0, hue1, … and dash0, dash1, … of figure.css


def kind(method: str) -> str:
    """The class that `method` is drawn in: ours, reference or paper."""
    return "ours" if method == OURS else "reference" if method in REFERENCES else "paper"


def line_styles(methods: list[str]) -> dict[str, str]:
    """A colour and a pattern of dashes for each of `methods`, no two alike up to 42 of them.

    Ours, thicker than the others in its own colour, has none.
    """
    others = [method for method in methods if kind(method) != "ours"]
    styles = {m: f"hue{n % HUES} dash{n % DASHES}" for n, m in enumerate(others)}
    return {method: styles.get(method, "") for method in methods}
