"""Recommend and explain with a trained model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole import checkpoints
from llm4rec_recbole.components.explanation.claims import ClaimChecker
from llm4rec_recbole.components.explanation.collector import (
    EvidenceCollector,
    ItemNames,
    interaction_vectors,
)
from llm4rec_recbole.components.explanation.context import ItemLocations, Locations, UserLocations
from llm4rec_recbole.components.explanation.evidence import Evidence
from llm4rec_recbole.components.explanation.writer import (
    Explanation,
    GreedyWriter,
    Writer,
    explain_list,
)
from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import multi_hot, read_items
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.evaluation.ranking import Rankings, rank_held_out
from llm4rec_recbole.files import write_json
from llm4rec_recbole.inference import adaptation_session
from llm4rec_recbole.inference.restore import TrainedModel, newest_checkpoint, restore

RECENT = 3  # items of the history that introduce a user


def restore_from_args(
    options: argparse.Namespace, adapted: bool = True, with_state: bool = True
) -> TrainedModel:
    """Restore the model that the options of cli/options.py select; `adapted` as in `restore`.
    with_state: bring it to the state folder in the options, if there is one.

    Prints one line on stderr for a checkpoint whose run has no record. An unknown user or item in
    the options is refused before the model is built.
    """
    path = options.checkpoint or newest_checkpoint(
        options.checkpoint_dir, options.model, options.dataset
    )
    if not checkpoints.read_header(path).finished:
        print(f"{path}: its run has written no record; it may be half trained", file=sys.stderr)
    values = vars(options)
    model = restore(path, adapted, values.get("user"), values.get("item"))
    if with_state and (state := values.get("state")):
        return adaptation_session.with_adaptation_state(model, Path(state))
    return model


def load_writer(name: str) -> Writer | None:
    """Load the language model called `name` as a writer; None for `none`."""
    if name == "none":
        return None
    from transformers.utils import logging

    from llm4rec_recbole.language_models.load import load_language_model

    logging.disable_progress_bar()
    model, tokenizer = load_language_model(name)
    return GreedyWriter(model, tokenizer, name)


def describe(model: TrainedModel) -> str:
    """Return one line that identifies the model."""
    config = model.config
    return (
        f"{model.method} on {config['dataset']} ({config['protocol']}, seed {config['seed']}), "
        f"{model.path}"
    )


def rank_candidates(model: TrainedModel, history: HeldOut) -> Rankings:
    """Rank the candidates of the one user in `history`, the held-out item among them."""
    score = scorer(model.model, model.config, history, model.dataset)
    return rank_held_out(score, history)


def top_k(model: TrainedModel, history: HeldOut, k: int) -> list[int]:
    """The k best candidates of the one user in `history`, best first; all if they are fewer
    than k."""
    top = rank_candidates(model, history).top_100[0, :k]
    return top[top > 0].tolist()


def write_result(folder: str, kind: str, model: TrainedModel, content: Any) -> Path:
    """Write <folder>/<kind>/<dataset>/<protocol>/<method>/seed_<k>.json; return its path."""
    config = model.config
    run = Run(config["dataset"], config["protocol"], model.method, config["seed"])
    write_json(run.result(kind, folder), content)
    return run.result(kind, folder)


class Explainer:
    """Explains items to the users of a trained model.

    Item vectors are the model's `item_table()`, (n_items, d), or its `item_embedding`, or else made
    of the interactions. The user's taste is the model's `aspect_distribution(held_out, rows)`, (B,
    A) or None, if it has one.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model, self.names = model, item_names(model)
        self.checker = ClaimChecker(self.names.titles, self.names.aspect_names)
        self.collector = EvidenceCollector(
            self.names, item_vectors(model), model.users, model.items, model.times, locations(model)
        )

    def explain(
        self, history: HeldOut, items: Sequence[int], writer: Writer | None
    ) -> list[Explanation]:
        """Explain `items` (internal ids), one list, to the one user in `history`."""
        number = int(history.users[0])
        user, now = str(self.model.user_tokens[number]), float(history.times[-1])
        seen = self.model.model_history(history.items)
        taste = None
        if hasattr(self.model.model, "aspect_distribution") and self.names.aspects.any():
            distribution = self.model.model.aspect_distribution(history, np.array([0]))
            taste = None if distribution is None else np.asarray(distribution[0], dtype=np.float64)
        evidence = [self.collector.evidence(user, item, seen, now, taste, number) for item in items]
        return explain_list(evidence, self.checker, writer)


def item_vectors(model: TrainedModel) -> np.ndarray:
    """Return item vectors, (n_items, d) float32; see Explainer."""
    n_items = model.test.n_items
    if hasattr(model.model, "item_table"):
        table: Any = model.model.item_table()
    else:
        table = getattr(getattr(model.model, "item_embedding", None), "weight", None)
    if table is not None and len(table) >= n_items:
        vectors = table[:n_items].detach().float().cpu().numpy().copy()
        vectors[0] = 0  # the pad
        return vectors
    return interaction_vectors(model.users, model.items, n_items)


def locations(model: TrainedModel) -> Locations | None:
    """The locations in the data set's files: `city` and `state` of items, or `zip_code` of users;
    None without any."""
    files = DatasetFiles.of(model.config)

    def texts(suffix: str, id_field: str, tokens: np.ndarray, *names: str) -> np.ndarray | None:
        path = files.path(suffix)
        table = read_atomic(path, files.file_format).texts() if path.exists() else {}
        columns = [table[name] for name in names if name in table]
        if not columns:
            return None
        cells = [", ".join(filter(None, map(str.strip, row))) for row in zip(*columns)]
        by_token = dict(zip(table[id_field], cells))
        return np.array([by_token.get(token, "") for token in tokens.tolist()], dtype=str)

    item_field, user_field = files.file_format.item_field, files.file_format.user_field
    cities = texts("item", item_field, model.item_tokens, "city", "state")
    if cities is not None:
        return ItemLocations(cities)
    zip_codes = texts("user", user_field, model.user_tokens, "zip_code")
    return None if zip_codes is None else UserLocations(zip_codes, model.test.n_items)


def item_names(model: TrainedModel) -> ItemNames:
    """Return the items' names and categories by internal id; none where the data set has none."""
    files = DatasetFiles.of(model.config)
    items = read_items(files.path("item"), files.file_format)
    titles = dict(zip(items["item_id"], items["title"]))
    categories = dict(zip(items["item_id"], items["categories"]))
    tokens = model.item_tokens.tolist()
    hot, aspect_names = multi_hot([categories.get(token, []) for token in tokens])
    return ItemNames(tokens, [titles.get(token, "") for token in tokens], hot, aspect_names)


# Explained recommendations for some users, as the report shows them.


def evenly_spaced(available: int, number_of_rows: int) -> list[int]:
    """`number_of_rows` rows of 0 to available − 1 at even distances, from row 0; at most all."""
    number_of_rows = min(number_of_rows, available)
    return [number * available // number_of_rows for number in range(number_of_rows)]


def explained_recommendations(
    model: TrainedModel, rows: Sequence[int], k: int, writer: Writer | None
) -> list[dict[str, Any]]:
    """The k best items of each of the test's `rows`, each explained in a dict."""
    explainer = Explainer(model)
    names = explainer.names

    def title(item: int) -> str:
        return names.titles[item] or f"item {names.tokens[item]}"

    entries = []
    for row in rows:
        user = str(model.user_tokens[model.test.users[row]])
        history = model.user_history(user)
        latest_first = model.model_history(history.items)[: -RECENT - 1 : -1]
        recent = [title(item) for item in latest_first.tolist()]
        items = top_k(model, history, k)
        for item, explanation in zip(items, explainer.explain(history, items, writer)):
            entries.append(
                {
                    "user": user,
                    "recent_titles": recent,
                    "item": str(names.tokens[item]),
                    "title": title(item),
                    "sentence": explanation.sentence,
                    "claims": [list(claim) for claim in explanation.claims],
                    "written_by": explanation.written_by,
                    "refused": explanation.refused,
                    "refused_claims": [list(claim) for claim in explanation.refused_claims],
                    "problems": list(explanation.problems),
                    "template": explanation.template,
                    "evidence": describe_evidence(explanation.evidence),
                }
            )
    return entries


def describe_evidence(evidence: Evidence) -> dict[str, str]:
    """Return each part of the evidence that is not empty, in words and numbers."""
    context, parts = evidence.context, {}
    if evidence.aspects:
        parts["taste"] = ", ".join(
            f"{a.name} {100 * a.weight:.0f} % (catalogue {100 * a.usual:.0f} %)"
            for a in evidence.aspects
        )
    for name, items in (("similar", evidence.similar), ("latest", context.latest)):
        if items:
            parts[name] = ", ".join(
                f"{c.name} {c.similarity:.2f} ({100 * c.nearer:.1f} % are nearer)" for c in items
            )
    if context.place is not None:
        place = context.place
        where = "of the user's choices" if place.is_city else "choices"
        numbers = f"{place.chosen.count} {where} ({place.chosen.expected:.1f} expected)"
        parts["place"] = f"{place.name}: {numbers} of {place.of}"
    attention = ", ".join(f"{name} {weight:.2f}" for name, weight in context.weights.items())
    expected = context.recent.expected
    usual = f" ({expected:.1f} expected)" if np.isfinite(expected) else ""
    parts["moment"] = f"{attention}; chosen {context.recent.count} times in the last 30 days{usual}"
    return parts
