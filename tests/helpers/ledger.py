"""The claims ledger by the keys of its claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.analysis.claims import LedgerEntry, ledger
from llm4rec_recbole.analysis.compare import compare
from llm4rec_recbole.analysis.paper.claims import Tables
from llm4rec_recbole.evaluation.record_reader import Failure, read_records

CONTRADICTED = "contradicted by the paper itself"


def entries(
    paper: Tables, results: Path | None = None, failures: Sequence[Failure] = ()
) -> dict[str, LedgerEntry]:
    """The ledger's entries of the paper's tables, and of the runs in `results` if any."""
    runs = ([], []) if results is None else (read_records(results), compare(results))
    return {entry.claim.key: entry for entry in ledger(paper, *runs, failures)}
