"""A restored model, asked for what it recommends and why."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.explanation.evidence import (
    EvidenceCollector,
    ItemNames,
    interaction_vectors,
)
from llm4rec_recbole.components.explanation.grounding import GroundingChecker
from llm4rec_recbole.components.explanation.writer import Explanation, GreedyWriter, Writer, explain
from llm4rec_recbole.components.fusion.item_content import multi_hot
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.ranking import Rankings, rank_held_out
from llm4rec_recbole.evaluation.scoring import scorer
from llm4rec_recbole.inference import adaptation_session
from llm4rec_recbole.inference.restore import TrainedModel, newest_checkpoint, restore


def restore_from_args(options: argparse.Namespace, adapted: bool = True) -> TrainedModel:
    """The model that the options of commands/options.py mean; `adapted` as in `restore`."""
    path = options.checkpoint or newest_checkpoint(
        options.checkpoint_dir, options.model, options.dataset
    )
    return restore(path, adapted)


def load_from_args(options: argparse.Namespace) -> TrainedModel:
    """`restored`, with what the model has learned since where the options name a state."""
    model = restore_from_args(options)
    return (
        adaptation_session.with_adaptation_state(model, Path(options.state))
        if options.state
        else model
    )


def load_writer(name: str) -> Writer | None:
    """The language model called `name`, ready to write; None for `none`."""
    if name == "none":
        return None
    from transformers.utils import logging

    from llm4rec_recbole.language_models.load import load_language_model

    logging.disable_progress_bar()
    model, tokenizer = load_language_model(name)
    return GreedyWriter(model, tokenizer, name)


def describe(model: TrainedModel) -> str:
    """One line on which model speaks."""
    config = model.config
    return (
        f"{model.method} on {config['dataset']} ({config['protocol']}, seed {config['seed']}), "
        f"{model.path}"
    )


def rank_candidates(model: TrainedModel, known: HeldOut) -> Rankings:
    """The user's candidates ranked, and the item that `known` holds out among them."""
    score = scorer(model.model, model.config, known, model.dataset)
    return rank_held_out(score, known)


def top_k(model: TrainedModel, known: HeldOut, k: int) -> list[int]:
    """The user's k best candidates, the best first; fewer where there are no more."""
    top = rank_candidates(model, known).top_100[0, :k]
    return top[top > 0].tolist()


def result_file(folder: str, kind: str, model: TrainedModel) -> Path:
    """<folder>/<kind>/<dataset>/<protocol>/<method>/seed_<k>.json: what is measured of `model`."""
    config = model.config
    place = Path(folder, kind, config["dataset"], config["protocol"], model.method)
    return place / f"seed_{config['seed']}.json"


class Explainer:
    """Explains items to the users of a restored model.

    Item vectors are the model's own: of its method `item_table()`, (n_items, d), or its
    `item_embedding`; a model with neither is lent vectors of who had what. The user's taste is that
    of its method `aspect_distribution(held_out, rows)`, (B, A) or None, where it has one.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        titles, categories = _content(model)
        hot, aspect_names = multi_hot(categories)
        self.names = ItemNames(model.item_tokens.tolist(), titles, hot, aspect_names)
        self.catalogue = GroundingChecker(titles, aspect_names)
        self.gatherer = EvidenceCollector(self.names, item_vectors(model), model.items, model.times)

    def explain(self, known: HeldOut, item: int, writer: Writer | None) -> Explanation:
        """Why `item` (an internal id) for the user of `known`, which has one row."""
        user = str(self.model.user_tokens[known.users[0]])
        history = self.model.model_history(known.items)
        taste = None
        if hasattr(self.model.model, "aspect_distribution") and self.names.aspects.any():
            of_rows = self.model.model.aspect_distribution(known, np.array([0]))
            taste = None if of_rows is None else np.asarray(of_rows[0], dtype=np.float64)
        evidence = self.gatherer.evidence(user, item, history, float(known.times[-1]), taste)
        return explain(evidence, self.catalogue, writer)


def item_vectors(model: TrainedModel) -> np.ndarray:
    """Item vectors, (n_items, d) float32; see Explainer."""
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


def _content(model: TrainedModel) -> tuple[list[str], list[list[str]]]:
    """Titles and categories by internal id; "" and [] where the data set does not tell."""
    path = Path(model.config["data_path"], f"{model.config['dataset']}.item")
    titles: dict[str, str] = {}
    categories: dict[str, list[str]] = {}
    if path.is_file():
        from llm4rec_recbole.data.features import read_items

        table = read_items(path)
        titles = dict(zip(table["item_id"], table["title"]))
        categories = dict(zip(table["item_id"], table["categories"]))
    tokens = model.item_tokens.tolist()
    return [titles.get(t, "") for t in tokens], [categories.get(t, []) for t in tokens]
