"""Commands about a trained model.

    llm4rec recommend --user U             the items, best first
    llm4rec explain --user U --item I      why the model recommends this item to this user
    llm4rec showcase --users N             the same for some test users, written to a file
    llm4rec faithfulness                   whether the cited items matter to the score
    llm4rec replay                         rank every held-out interaction, then learn from it

The list is the one in the tables: the history is that of the test, and ties are broken in the same
way. With `--state` the history is the whole data set and the events that were learned since.

`showcase` takes users at even distances among the test users; accuracy plays no part in the choice.
`faithfulness` explains every test user's first recommendation, as `recommend --explain` does. In
`replay`, four update rules start from the model as training left it: frozen, plain SGD, selective
updates (29-30) and EWC (33).

These three write <results_dir>/<kind>/<dataset>/<protocol>/<method>/seed_<k>.json, which the report
shows. The kinds are explanations, faithfulness and replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from llm4rec_recbole.cli.options import MODEL, check_k, parser_of
from llm4rec_recbole.console import no_garbage_collection
from llm4rec_recbole.errors import InputError

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.writer import Explanation


def recommend(argv: Sequence[str]) -> int:
    """Print the list. Raises InputError for an unknown user, or a model that is not trained."""
    parser = parser_of("Recommend items to a user.", "-k", *MODEL, "--state", "--language_model")
    parser.add_argument("--user", required=True, help="the user's id in the data set")
    parser.add_argument("--explain", action="store_true", help="explain each item")
    options = parser.parse_args(argv)
    check_k(options.k)
    with no_garbage_collection():
        from llm4rec_recbole.inference import recommend as inference

        model = inference.restore_from_args(options)
    history = model.user_history(options.user)
    names = inference.item_names(model)
    items = inference.top_k(model, history, options.k)
    explanations = []
    if options.explain:
        writer = inference.load_writer(options.language_model)
        explanations = inference.Explainer(model).explain(history, items, writer)
    print(f"{inference.describe(model)}\nfor user {options.user}:")
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
    parser = parser_of("Explain an item to a user.", *MODEL, "--state", "--language_model")
    parser.add_argument("--user", required=True, help="the user's id in the data set")
    parser.add_argument("--item", required=True, help="the item's id in the data set")
    options = parser.parse_args(argv)
    import numpy as np

    with no_garbage_collection():
        from llm4rec_recbole.inference import recommend as inference

        model = inference.restore_from_args(options)
    history, item = model.user_history(options.user), model.item_number(options.item)
    ranks = inference.rank_candidates(model, replace(history, targets=np.array([item]))).rank_full
    n_unseen = int((~history.seen_mask(np.array([0]))).sum())
    writer = inference.load_writer(options.language_model)
    (explanation,) = inference.Explainer(model).explain(history, [item], writer)
    seen = " (which the user has seen)" if item in history.items else ""
    rank = f"rank {ranks[0] + 1:.0f} of {n_unseen}"
    print(inference.describe(model))
    print(f"user {options.user}, item {options.item}: {rank}{seen}\n")
    print("\n".join(explanation_lines(explanation)))
    return 0


def showcase(argv: Sequence[str]) -> int:
    """Write the list. Raises InputError when there is no trained model."""
    parser = parser_of("Recommend and explain to some test users.", "-k", "--results_dir", *MODEL,
                       "--language_model")  # fmt: skip
    parser.set_defaults(k=3)
    parser.add_argument("--users", type=int, default=6, help="how many users (%(default)s)")
    options = parser.parse_args(argv)
    if options.users < 1:
        raise InputError(f"--users is {options.users}", hint="1 or more")
    check_k(options.k)
    from llm4rec_recbole.inference import recommend as inference

    model = inference.restore_from_args(options)
    writer = inference.load_writer(options.language_model)
    rows = inference.evenly_spaced(len(model.test), options.users)
    explained = inference.explained_recommendations(model, rows, options.k, writer)
    path = inference.write_result(options.results_dir, "explanations", model, explained)
    by_writer = sum(entry["written_by"] != "template" for entry in explained)
    print(inference.describe(model))
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


def faithfulness(argv: Sequence[str]) -> int:
    """Print and write the measurement. Raises InputError when there is no trained model."""
    description = "Measure how faithful explanations are."
    options = parser_of(description, "--results_dir", *MODEL).parse_args(argv)
    from llm4rec_recbole.analysis.faithfulness import measure
    from llm4rec_recbole.inference import recommend as inference

    model = inference.restore_from_args(options)
    result = measure(model)
    path = inference.write_result(options.results_dir, "faithfulness", model, asdict(result))
    print(inference.describe(model))
    print(
        f"{result.users} users: the score falls by {result.drop_cited:.4g} without the cited "
        f"items, by {result.drop_popular:.4g} without as many popular others, by "
        f"{result.drop_random:.4g} without as many random others;\n"
        f"difference to the popular {result.difference_popular:.4g}, 95 % interval "
        f"[{result.low_popular:.4g}, {result.high_popular:.4g}]; to the random:\n"
        f"difference {result.difference:.4g}, "
        f"95 % interval [{result.low:.4g}, {result.high:.4g}], d {result.effect_size:.2f}, "
        f"p {max(result.p_t, 1e-300):.2g} (t), {result.p_randomization:.2g} (randomization); "
        f"above 0 for {100 * result.share_above:.0f} % of users; {result.left_out} left out"
    )
    print(f"written: {path}")
    return 0


def replay(argv: Sequence[str]) -> int:
    """Print and write the comparison. Raises InputError when there is no trained model, and for a
    model that does not learn from single events."""
    parser = parser_of("Test, then train, on held-out interactions.", "--results_dir", *MODEL)
    parser.add_argument("--most", type=int, help="only the first so many events (default: all)")
    options = parser.parse_args(argv)
    if options.most is not None and options.most < 1:
        raise InputError(f"--most is {options.most}", hint="1 or more")
    from llm4rec_recbole.analysis.online_replay import replay_record
    from llm4rec_recbole.inference import recommend as inference

    model = inference.restore_from_args(options, adapted=False)
    record = replay_record(model, options.most)
    path = inference.write_result(options.results_dir, "replay", model, record)
    print(f"{inference.describe(model)}\n{record['events']} events of {record['users']} users\n")
    print(f"{table(record['rules'])}\n\nwritten: {path}")
    return 0


def table(rules: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table with one line for each update rule."""
    from tabulate import tabulate

    from llm4rec_recbole.reporting.page.model_outputs import REPLAY_COLUMNS, cells

    rows = [[name, *cells(REPLAY_COLUMNS, rule)] for name, rule in rules.items()]
    return tabulate(rows, headers=["", *REPLAY_COLUMNS], disable_numparse=True)
