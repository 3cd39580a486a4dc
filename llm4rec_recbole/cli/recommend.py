"""`llm4rec recommend --user U`: the items that a trained model recommends to a user, best first.

The list is the one in the tables: the history is that of the test, and ties are broken in the same
way. With `--state` the history is the whole data set and the events that were learned since.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llm4rec_recbole.cli.explain import explanation_lines
from llm4rec_recbole.cli.options import (
    add_k_option,
    add_model_options,
    add_state_option,
    add_writer_option,
    check_k,
)


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
