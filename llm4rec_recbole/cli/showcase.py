"""`llm4rec showcase --model M`: recommendations and their explanations for some users.

The users are at even distances among the test users, and not chosen by accuracy. Each user's items
are those of `recommend --explain`. Writes
<results_dir>/explanations/<dataset>/<protocol>/<method>/seed_<k>.json, which the report shows:

    [{"user", "recent_titles", "item", "title", "sentence", "written_by", "refused", "problems",
      "template", "evidence"}, …]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.cli.options import add_k_option, add_model_options, add_writer_option, check_k
from llm4rec_recbole.cli.recommend import describe_evidence
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.writer import Writer
    from llm4rec_recbole.inference.restore import TrainedModel

RECENT = 3  # items of the history that introduce a user


def main(argv: Sequence[str]) -> int:
    """Write the list. Raises InputError when there is no trained model."""
    parser = argparse.ArgumentParser(description="Recommend and explain to some test users.")
    parser.add_argument("--users", type=int, default=6, help="how many users (%(default)s)")
    add_k_option(parser, default=3)
    parser.add_argument("--results_dir", default="work", help="folder to write to (%(default)s)")
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
    rows = evenly_spaced(len(model.test), options.users)
    explained = explained_recommendations(model, rows, options.k, writer)
    path = recommend.result_file(options.results_dir, "explanations", model)
    write_json(path, explained)
    by_writer = sum(entry["written_by"] != "template" for entry in explained)
    print(recommend.describe(model))
    print(f"{len(explained)} recommendations, {by_writer} explained by the language model")
    print(f"written: {path}")
    return 0


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """Return `wanted` of the rows 0 to available − 1 at even distances, from row 0 on; at most
    all."""
    wanted = min(wanted, available)
    return [number * available // wanted for number in range(wanted)]


def explained_recommendations(
    model: TrainedModel, rows: Sequence[int], k: int, writer: Writer | None
) -> list[dict[str, Any]]:
    """Return the k best items of each of the test's `rows`, explained."""
    from llm4rec_recbole.inference import recommend

    explainer = recommend.Explainer(model)
    names = explainer.names

    def title(item: int) -> str:
        return names.titles[item] or f"item {names.tokens[item]}"

    entries = []
    for row in rows:
        user = str(model.user_tokens[model.test.users[row]])
        history = model.user_history(user)
        latest_first = model.model_history(history.items)[: -RECENT - 1 : -1]
        recent = [title(item) for item in latest_first.tolist()]
        for item in recommend.top_k(model, history, k):
            explanation = explainer.explain(history, item, writer)
            entries.append(
                {
                    "user": user,
                    "recent_titles": recent,
                    "item": str(names.tokens[item]),
                    "title": title(item),
                    "sentence": explanation.sentence,
                    "written_by": explanation.written_by,
                    "refused": explanation.refused,
                    "problems": list(explanation.problems),
                    "template": explanation.evidence.template,
                    "evidence": describe_evidence(explanation.evidence),
                }
            )
    return entries
