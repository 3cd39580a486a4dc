"""Commands about the items that a trained model recommends: `llm4rec recommend`, `explain`,
`showcase`.

    llm4rec recommend --user U             the items, best first
    llm4rec explain --user U --item I      why the model recommends this item to this user
    llm4rec showcase --users N             the same for some test users, written to a file

The list is the one in the tables: the history is that of the test, and ties are broken in the same
way. With `--state` the history is the whole data set and the events that were learned since.

`showcase` takes users at even distances among the test users; accuracy plays no part in the choice.
Its file is <results_dir>/explanations/<dataset>/<protocol>/<method>/seed_<k>.json, which the report
shows (inference/recommend.py, `explained_recommendations`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llm4rec_recbole.cli.options import (
    add_k_option,
    add_model_options,
    add_results_dir_option,
    add_state_option,
    add_writer_option,
    check_k,
)
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
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

    model = recommend.restore_from_args(options)
    history = model.user_history(options.user)
    names = recommend.item_names(model)
    items = recommend.top_k(model, history, options.k)
    explanations = []
    if options.explain:
        writer = recommend.load_writer(options.language_model)
        explanations = recommend.Explainer(model).explain(history, items, writer)
    print(f"{recommend.describe(model)}\nfor user {options.user}:")
    for number, item in enumerate(items):
        token, title = names.tokens[item], names.titles[item]
        print(f"{number + 1:3}  {token}  {title}".rstrip())
        if options.explain:
            lines = explanation_lines(explanations[number])
            print("\n".join(f"     {line}" for line in lines))
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

    model = recommend.restore_from_args(options)
    history, item = model.user_history(options.user), model.item_number(options.item)
    ranks = recommend.rank_candidates(model, replace(history, targets=np.array([item]))).rank_full
    n_unseen = int((~history.seen_mask(np.array([0]))).sum())
    writer = recommend.load_writer(options.language_model)
    (explanation,) = recommend.Explainer(model).explain(history, [item], writer)
    seen = " (which the user has seen)" if item in history.items else ""
    rank = f"rank {ranks[0] + 1:.0f} of {n_unseen}"
    print(recommend.describe(model))
    print(f"user {options.user}, item {options.item}: {rank}{seen}\n")
    print("\n".join(explanation_lines(explanation)))
    return 0


def showcase(argv: Sequence[str]) -> int:
    """Write the list. Raises InputError when there is no trained model."""
    parser = argparse.ArgumentParser(description="Recommend and explain to some test users.")
    parser.add_argument("--users", type=int, default=6, help="how many users (%(default)s)")
    add_k_option(parser, default=3)
    add_results_dir_option(parser)
    add_model_options(parser)
    add_writer_option(parser)
    options = parser.parse_args(argv)
    if options.users < 1:
        raise InputError(f"--users is {options.users}", hint="1 or more")
    check_k(options.k)
    from llm4rec_recbole.files import write_json
    from llm4rec_recbole.inference import recommend

    model = recommend.restore_from_args(options)
    writer = recommend.load_writer(options.language_model)
    rows = recommend.evenly_spaced(len(model.test), options.users)
    explained = recommend.explained_recommendations(model, rows, options.k, writer)
    path = recommend.result_file(options.results_dir, "explanations", model)
    write_json(path, explained)
    by_writer = sum(entry["written_by"] != "template" for entry in explained)
    print(recommend.describe(model))
    print(f"{len(explained)} recommendations, {by_writer} explained by the language model")
    print(f"written: {path}")
    return 0


def explanation_lines(explanation: Explanation) -> list[str]:
    """Return the sentence, its writer, and the evidence, one line each."""
    from llm4rec_recbole.inference.recommend import describe_evidence

    w = explanation.evidence.weights
    parts = {
        "written by": explanation.written_by,
        "template": f"{explanation.template}  (preference {w.preference:.2f}, "
        f"similarity {w.similarity:.2f}, context {w.context:.2f})",
    }
    if explanation.problems:
        parts |= {"refused": explanation.refused, "because": "; ".join(explanation.problems)}
    parts |= describe_evidence(explanation.evidence)
    return [explanation.sentence, *(f"  {name:<10}  {text}" for name, text in parts.items())]
