"""Which methods belong together in a figure: ours, the paper's baselines, the references."""

from __future__ import annotations

from llm4rec_recbole.analysis.table_rows import OURS, REFERENCES


def kind(method: str) -> str:
    """The class that `method` is drawn in: ours, reference or paper."""
    return "ours" if method == OURS else "reference" if method in REFERENCES else "paper"
