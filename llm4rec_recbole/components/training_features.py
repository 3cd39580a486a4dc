"""What EnhancedGenRec knows besides ids. All of it is available at training time.

the data set's files   titles, categories and years of items; groups of users
training interactions  user, item, time and rating; no held-out row is ever read here
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.fusion.item_content import (
    ItemContent,
    item_content,
    item_mean_ratings,
)
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import item_categories, read_items, user_groups

ENCODED = Path("work/encoded")  # the pipeline's stage `encode` writes here


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Ids are internal, 0 is the pad. Interactions are sorted by user, then from old to new."""

    n_users: int
    n_items: int
    users: np.ndarray  # (N,) int64
    items: np.ndarray  # (N,) int64
    times: np.ndarray  # (N,) float64, seconds
    indptr: np.ndarray  # (n_users + 1,) int64: user u has rows indptr[u]:indptr[u + 1]
    content: ItemContent
    categories: np.ndarray  # (n_items, C) bool
    user_groups: dict[str, np.ndarray]  # attribute: (n_users,) int64, -1 = unknown

    @property
    def counts(self) -> np.ndarray:
        """Training interactions of each item, (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items)

    @property
    def dated(self) -> bool:
        """Whether the times are dates. Else they are only positions within each user's history or
        within all rows: they rise by 1, from 0 or 1, and do not order two users' interactions."""
        lengths = np.diff(self.indptr)
        starts = self.indptr[:-1][lengths > 0]
        first = self.times[starts]
        position = np.arange(len(self.times)) - np.repeat(self.indptr[:-1], lengths)
        rises = (self.times - np.repeat(first, lengths[lengths > 0]) == position).all()
        return not (rises and (np.isin(first, (0, 1)).all() or (first == starts).all()))

    @property
    def has_content(self) -> bool:
        """Whether the data describe items at all: the popularity of an item is no content."""
        content = self.content
        described = (content.text, content.categories, content.is_number[:, 1:])
        return any(bool(values.any()) for values in described)


def order_of_histories(dataset: Any) -> np.ndarray:
    """The rows of RecBole's training data (N,) user by user, each user's from old to new.

    Rows of equal times stay in their order. RecBole's own protocol may have shuffled the rows.
    """
    rows = dataset.inter_feat
    users = rows[dataset.uid_field].numpy()
    if dataset.time_field not in rows:
        return np.argsort(users, kind="stable")
    return np.lexsort((rows[dataset.time_field].numpy(), users))


def training_features(config: Any, dataset: Any) -> TrainingFeatures:
    """Collect the features of `dataset`, RecBole's training data. Titles are encoded here unless
    the stage `encode` has encoded them before."""
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    order = order_of_histories(dataset)
    users, items = users[order], items[order]
    has_times = dataset.time_field in inter
    times = inter[dataset.time_field].numpy()[order] if has_times else np.arange(len(order))
    rating = config["RATING_FIELD"]
    ratings = inter[rating].numpy()[order] if rating in inter else None
    files = DatasetFiles.of(config)
    tokens = dataset.field2id_token[dataset.iid_field]
    user_tokens = dataset.field2id_token[dataset.uid_field]
    categories = item_categories(files.path("item"), tokens, files.file_format)
    n_items = dataset.item_num
    counts = np.bincount(items, minlength=n_items)
    numbers = [np.where(counts > 0, np.log1p(counts), np.nan), _years(files, tokens)]
    if ratings is not None:
        numbers.append(item_mean_ratings(items, ratings, n_items))
    content = item_content(
        item_text_vectors(config, dataset), categories, np.stack(numbers, 1), counts > 0
    )
    return TrainingFeatures(
        n_users=dataset.user_num,
        n_items=n_items,
        users=users,
        items=items,
        times=times.astype(np.float64),
        indptr=np.searchsorted(users, np.arange(dataset.user_num + 1)),
        content=content,
        categories=categories,
        user_groups=user_groups(files.path("user"), user_tokens, files.file_format),
    )


def _years(files: DatasetFiles, tokens: Any) -> np.ndarray:
    """Each item's year, (n_items,) float64, NaN where unknown."""
    years = read_items(files.path("item"), files.file_format).set_index("item_id")["year"]
    return years.reindex(np.asarray(tokens, dtype=str)).astype("Float64").to_numpy(float, np.nan)


def item_text_vectors(config: Any, dataset: Any) -> np.ndarray:
    """Each item's text vector, (n_items, d) float32, zeros without text; without an `.item` file d
    is 1."""
    files, tokens = DatasetFiles.of(config), dataset.field2id_token[dataset.iid_field]
    path = files.path("item")
    items = read_items(path, files.file_format)
    if items.empty:
        return np.zeros((len(tokens), 1), dtype=np.float32)
    from llm4rec_recbole.language_models.encode_items import encode_table

    encoded = encode_table(items, path, encoded_folder(config), config["text_encoder"])
    return encoded.of_items(list(tokens))


def encoded_folder(config: Any, suffix: str = "") -> Path:
    """The folder of the text vectors that the configured encoder makes of the data set."""
    return ENCODED / config["dataset"] / (config["text_encoder"].replace("/", "--") + suffix)
