"""What users wrote about the items they had: the reviews of training interactions.

They come from reviews.parquet, which `llm4rec prepare` leaves beside the atomic files. Reviews of
held-out interactions would tell what is to be predicted: `training_events` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.retrieval.repository import Entries, review_entries
from llm4rec_recbole.components.training_features import encoded_folder
from llm4rec_recbole.datasets.events import training_events

MOST_WORDS = 64  # of a review that is encoded


@dataclass(frozen=True, eq=False)
class Reviews:
    """One for each of N interactions."""

    texts: list[str]  # (N,), or its summary; "" for none
    helpful: np.ndarray  # (N,) float64, votes that found it helpful; 0 where none are told


def training_reviews(config: Any, dataset: Any) -> Reviews | None:
    """Those of `dataset`'s rows, RecBole's training data; None for a data set without reviews."""
    table = Path(config["data_path"], "reviews.parquet")
    if not table.is_file():
        return None
    fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
    inter = dataset.inter_feat
    ids = [dataset.id2token(field, inter[field].numpy()) for field in fields]
    found = training_events(table, *ids).sort_values("timestamp", kind="stable")
    found = found.drop_duplicates(["user_id", "item_id"])  # of a pair the first one trains
    full, short = found["text"].fillna(""), found["summary"].fillna("")
    helpful = found["helpful"] if "helpful" in found else np.zeros(len(found))
    pairs = zip(found["user_id"], found["item_id"])
    written = zip(full.where(full != "", short), np.nan_to_num(np.asarray(helpful, float)))
    of_pair = dict(zip(pairs, written))
    rows = [of_pair.get(pair, ("", 0.0)) for pair in zip(*ids)]
    return Reviews([text for text, _ in rows], np.array([votes for _, votes in rows]))


def earliest_of_each_item(items: np.ndarray, times: np.ndarray, most: int) -> np.ndarray:
    """The rows (R,), ascending, of the `most` earliest of each item; ties by row.

    items, times: (N,). Earliest, and not most helpful: a later review then never takes the place
    of an earlier one, so what may be known at a moment does not depend on what came after it.
    """
    order = np.lexsort((times, items))
    starts = np.searchsorted(items[order], items[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < most])


def reviews_to_retrieve(config: Any, dataset: Any, most: int) -> Entries | None:
    """Entries of the repository (8): the `most` earliest reviews of each item, through the encoder
    of the items' texts. None for a data set without reviews or times, or where `most` is 0.

    Their first words, as many as MOST_WORDS; the vectors are kept beside those of the items.
    """
    inter = dataset.inter_feat
    asked = most and dataset.time_field in inter
    reviews = training_reviews(config, dataset) if asked else None
    if reviews is None or not any(reviews.texts):
        return None
    from llm4rec_recbole.language_models.encode_items import encode_texts

    items, times = inter[dataset.iid_field].numpy(), inter[dataset.time_field].numpy()
    said = np.flatnonzero(np.array([bool(text) for text in reviews.texts]))
    rows = said[earliest_of_each_item(items[said], times[said], most)]
    texts = [" ".join(reviews.texts[row].split()[:MOST_WORDS]) for row in rows]
    names = dataset.id2token(dataset.iid_field, items[rows]).tolist()
    folder = encoded_folder(config, f"-reviews-{config['protocol']}")
    vectors = encode_texts(names, texts, folder, config["text_encoder"]).vectors
    return review_entries(vectors, items[rows], times[rows], reviews.helpful[rows])
