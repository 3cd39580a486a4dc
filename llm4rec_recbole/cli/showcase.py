"""`llm4rec showcase --model M`: what some users are recommended, and why, for the report.

The users are spaced evenly over those of the test, whoever they are and however well they are
served; each one's items are those of `recommend --explain`. Writes
<results_dir>/explanations/<dataset>/<protocol>/<method>/seed_<k>.json, a list of

    {"user", "recent_titles", "item", "title", "sentence", "written_by", "refused", "problems",
     "template", "evidence"}
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.cli.explain import describe_evidence
from llm4rec_recbole.cli.options import add_k_option, add_model_options, add_writer_option, check_k
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.writer import Writer
    from llm4rec_recbole.inference.restore import TrainedModel


RECENT = 3  # items of the history that a user is introduced with


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
    shown = explained_recommendations(
        model, evenly_spaced(len(model.test), options.users), options.k, writer
    )
    path = recommend.result_file(options.results_dir, "explanations", model)
    write_json(path, shown)
    by_writer = sum(each["written_by"] != "template" for each in shown)
    print(recommend.describe(model))
    print(f"{len(shown)} recommendations, {by_writer} explained in the writer's own words")
    print(f"written: {path}")
    return 0


def evenly_spaced(there: int, wanted: int) -> list[int]:
    """`wanted` of the rows 0 to there − 1 at even distances, the first among them; at most all."""
    wanted = min(wanted, there)
    return [place * there // wanted for place in range(wanted)]


def explained_recommendations(
    model: TrainedModel, rows: Sequence[int], k: int, writer: Writer | None
) -> list[dict[str, Any]]:
    """The k best items of each of the test's `rows`, explained."""
    from llm4rec_recbole.inference import recommend

    explainer = recommend.Explainer(model)
    names = explainer.names

    def title(item: int) -> str:
        return names.titles[item] or f"item {names.tokens[item]}"

    shown = []
    for row in rows:
        user = str(model.user_tokens[model.test.users[row]])
        known = model.user_history(user)
        recent = [
            title(item) for item in model.model_history(known.items)[: -RECENT - 1 : -1].tolist()
        ]
        for item in recommend.top_k(model, known, k):
            found = explainer.explain(known, item, writer)
            shown.append(
                {
                    "user": user,
                    "recent_titles": recent,
                    "item": str(names.tokens[item]),
                    "title": title(item),
                    "sentence": found.sentence,
                    "written_by": found.written_by,
                    "refused": found.refused,
                    "problems": list(found.problems),
                    "template": found.evidence.template,
                    "evidence": describe_evidence(found.evidence),
                }
            )
    return shown
