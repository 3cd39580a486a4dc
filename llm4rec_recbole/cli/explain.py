"""`llm4rec explain --user U --item I`: why a trained model would show this item to this user."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llm4rec_recbole.cli.options import add_model_options, add_state_option, add_writer_option

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.evidence import Evidence
    from llm4rec_recbole.components.explanation.writer import Explanation


def main(argv: Sequence[str]) -> int:
    """Print the sentence, where the item stands, and the evidence. Raises InputError for a user or
    an item that is not known, or a model that is not trained."""
    parser = argparse.ArgumentParser(description="Explain an item to a user.")
    parser.add_argument("--user", required=True, help="raw id")
    parser.add_argument("--item", required=True, help="raw id")
    add_model_options(parser)
    add_state_option(parser)
    add_writer_option(parser)
    options = parser.parse_args(argv)
    import numpy as np

    from llm4rec_recbole.inference import recommend

    model = recommend.load_from_args(options)
    known, item = model.user_history(options.user), model.item_number(options.item)
    rank = recommend.rank_candidates(model, replace(known, targets=np.array([item]))).rank_full[0]
    unseen = int((~known.seen_mask(np.array([0]))).sum())
    found = recommend.Explainer(model).explain(
        known, item, recommend.load_writer(options.language_model)
    )
    seen = " (which the user has seen)" if item in known.items else ""
    print(recommend.describe(model))
    print(f"user {options.user}, item {options.item}: rank {rank + 1:.0f} of {unseen}{seen}\n")
    print("\n".join(explanation_lines(found)))
    return 0


def explanation_lines(found: Explanation) -> list[str]:
    """The sentence, who wrote it, and the evidence, a line each."""
    w = found.evidence.weights
    told = {
        "written by": found.written_by,
        "template": f"{found.evidence.template}  (preference {w.preference:.2f}, "
        f"similarity {w.similarity:.2f}, context {w.context:.2f})",
    }
    if found.problems:
        told |= {"refused": found.refused, "because": "; ".join(found.problems)}
    told |= describe_evidence(found.evidence)
    return [found.sentence, *(f"  {name:<10}  {text}" for name, text in told.items())]


def describe_evidence(evidence: Evidence) -> dict[str, str]:
    """Each part of the evidence that is there, in words and numbers."""
    moment, parts = evidence.context, {}
    if evidence.aspects:
        parts["taste"] = ", ".join(
            f"{a.name} {100 * a.weight:.0f} % (catalogue {100 * a.usual:.0f} %)"
            for a in evidence.aspects
        )
    if evidence.similar:
        parts["similar"] = ", ".join(f"{c.name} {c.similarity:.2f}" for c in evidence.similar)
    if moment.latest:
        parts["latest"] = ", ".join(c.name for c in moment.latest)
    parts["moment"] = (
        f"latest {moment.time:.2f}, on the rise {moment.trend:.2f}; "
        f"chosen {moment.recent} times in the last 30 days"
    )
    return parts
