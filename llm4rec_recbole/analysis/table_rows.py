"""Which method stands on which row of the tables."""

from __future__ import annotations

OURS = "EnhancedGenRec"
REFERENCES = ("Pop", "ItemKNN", "EASE", "RecencyEASE", "SASRec")


def paper_rows(recbole_row: str = "BPR") -> dict[str, str]:
    """The paper's row labels, in its order, and the method that stands for each.

    "RecBole" is a framework, not a model: the row is read as its quick-start default, BPR,
    unless `recbole_row` names another method.
    """
    return {
        "GenRec": "GenRec",
        "P5": "P5",
        "RecBole": recbole_row,
        "LightGCN": "LightGCN",
        "BERT4Rec": "BERT4Rec",
        "Ours": OURS,
    }


def table_methods(recbole_row: str = "BPR") -> tuple[str, ...]:
    """Every method of the accuracy table, in the order of its rows."""
    return (*paper_rows(recbole_row).values(), *REFERENCES)
