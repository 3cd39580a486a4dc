"""Commands about the items that a trained model recommends: `llm4rec recommend`, `explain`.

    llm4rec recommend --user U             the items, best first
    llm4rec explain --user U --item I      why the model recommends this item to this user

The list is the one in the tables: the history is that of the test, and ties are broken in the same
way. With `--state` the history is the whole data set and the events that were learned since.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llm4rec_recbole.cli.options import (
    add_k_option,
    add_model_options,
    add_state_option,
    add_writer_option,
    check_k,
)

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.evidence import Evidence
    from llm4rec_recbole.components.explanation.writer import Explanation


def main(argv: Sequence[str]) -> int:
    """Print the list. Raises InputError for an unknown user, or a model that is not trained."""
    parser = argparse.ArgumentParser(description="Recommend items to a user.")
    parser.add_argument("--user", required=True, help="raw id")
    add_k_option(parser, default=10)
    parser.add_argument("--explain", action="store_true", help="explain each item")
    add_model_options(parser)
    add_state_option(parser)
    add_writer_option(parser)
    options = parser.parse_args(argv)
    check_k(options.k)
    from llm4rec_recbole.inference import recommend

    model = recommend.load_from_args(options)
    history = model.user_history(options.user)
    explainer = recommend.Explainer(model)
    writer = recommend.load_writer(options.language_model) if options.explain else None
    print(f"{recommend.describe(model)}\nfor user {options.user}:")
    for rank, item in enumerate(recommend.top_k(model, history, options.k), start=1):
        token, title = explainer.names.tokens[item], explainer.names.titles[item]
        print(f"{rank:3}  {token}  {title}".rstrip())
        if options.explain:
            explanation = explainer.explain(history, item, writer)
            print("\n".join(f"     {line}" for line in explanation_lines(explanation)))
    return 0


def explain(argv: Sequence[str]) -> int:
    """Print the sentence, the item's rank, and the evidence. Raises InputError for an unknown user
    or item, and for a model that is not trained."""
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
    history, item = model.user_history(options.user), model.item_number(options.item)
    ranks = recommend.rank_candidates(model, replace(history, targets=np.array([item]))).rank_full
    n_unseen = int((~history.seen_mask(np.array([0]))).sum())
    writer = recommend.load_writer(options.language_model)
    explanation = recommend.Explainer(model).explain(history, item, writer)
    seen = " (which the user has seen)" if item in history.items else ""
    rank = f"rank {ranks[0] + 1:.0f} of {n_unseen}"
    print(recommend.describe(model))
    print(f"user {options.user}, item {options.item}: {rank}{seen}\n")
    print("\n".join(explanation_lines(explanation)))
    return 0


def explanation_lines(explanation: Explanation) -> list[str]:
    """Return the sentence, its writer, and the evidence, one line each."""
    w = explanation.evidence.weights
    parts = {
        "written by": explanation.written_by,
        "template": f"{explanation.evidence.template}  (preference {w.preference:.2f}, "
        f"similarity {w.similarity:.2f}, context {w.context:.2f})",
    }
    if explanation.problems:
        parts |= {"refused": explanation.refused, "because": "; ".join(explanation.problems)}
    parts |= describe_evidence(explanation.evidence)
    return [explanation.sentence, *(f"  {name:<10}  {text}" for name, text in parts.items())]


def describe_evidence(evidence: Evidence) -> dict[str, str]:
    """Return each part of the evidence that is not empty, in words and numbers."""
    context, parts = evidence.context, {}
    if evidence.aspects:
        parts["taste"] = ", ".join(
            f"{a.name} {100 * a.weight:.0f} % (catalogue {100 * a.usual:.0f} %)"
            for a in evidence.aspects
        )
    if evidence.similar:
        parts["similar"] = ", ".join(f"{c.name} {c.similarity:.2f}" for c in evidence.similar)
    if context.latest:
        parts["latest"] = ", ".join(c.name for c in context.latest)
    parts["moment"] = (
        f"latest {context.time:.2f}, on the rise {context.trend:.2f}; "
        f"chosen {context.recent} times in the last 30 days"
    )
    return parts
