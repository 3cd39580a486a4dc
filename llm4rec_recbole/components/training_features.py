"""What EnhancedGenRec may know beside ids, all of it from the training phase.

the data set's files   titles, categories, years; groups of users
training interactions  who had what and when, ratings; no held-out row ever comes here
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.components.fusion.item_content import ItemContent, item_content, mean_ratings
from llm4rec_recbole.data.features import item_categories, user_groups

ENCODED = Path("work/encoded")  # where the pipeline's stage `encode` writes


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Ids are internal ones, 0 the pad; interactions are user by user, each user's oldest first."""

    n_users: int
    n_items: int
    users: np.ndarray  # (N,) int64
    items: np.ndarray  # (N,) int64
    times: np.ndarray  # (N,) float64, seconds
    indptr: np.ndarray  # (n_users + 1,) int64: user u has rows indptr[u]:indptr[u + 1]
    content: ItemContent
    categories: np.ndarray  # (n_items, C) bool
    user_groups: dict[str, np.ndarray]  # attribute: (n_users,) int64, -1 unknown

    @property
    def counts(self) -> np.ndarray:
        """How often each item occurs in training, (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items)


def knowledge(config: Any, dataset: Any) -> Knowledge:
    """Of RecBole's training data set. Titles are encoded now unless the stage `encode` did it."""
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    order = np.argsort(users, kind="stable")
    users, items = users[order], items[order]
    known = dataset.time_field in inter
    times = inter[dataset.time_field].numpy()[order] if known else np.arange(len(order))
    rating = config["RATING_FIELD"]
    ratings = inter[rating].numpy()[order] if rating in inter else None
    file = str(Path(config["data_path"], config["dataset"]))
    tokens = dataset.field2id_token[dataset.iid_field]
    categories = item_categories(f"{file}.item", tokens)
    n_items = dataset.item_num
    counts = np.bincount(items, minlength=n_items)
    numbers = [np.where(counts > 0, np.log1p(counts), np.nan), _years(f"{file}.item", tokens)]
    if ratings is not None:
        numbers.append(mean_ratings(items, ratings, n_items))
    content = item_content(
        _text_vectors(config, tokens), categories, np.stack(numbers, 1), counts > 0
    )
    return Knowledge(
        n_users=dataset.user_num,
        n_items=n_items,
        users=users,
        items=items,
        times=times.astype(np.float64),
        indptr=np.searchsorted(users, np.arange(dataset.user_num + 1)),
        content=content,
        categories=categories,
        user_groups=user_groups(f"{file}.user", dataset.field2id_token[dataset.uid_field]),
    )


def _years(file: str, tokens: Any) -> np.ndarray:
    """Each item's year, (n_items,) float64, NaN where it is not known."""
    from llm4rec_recbole.data.features import read_items

    if not Path(file).is_file():
        return np.full(len(tokens), np.nan)
    years = read_items(file).drop_duplicates("item_id").set_index("item_id")["year"]
    return years.reindex(np.asarray(tokens, dtype=str)).astype("Float64").to_numpy(float, np.nan)


def _text_vectors(config: Any, tokens: Any) -> np.ndarray:
    """Each item's text as a vector, (n_items, d) float32: zeros for none, d = 1 without a file."""
    file = Path(config["data_path"], f"{config['dataset']}.item")
    if not file.is_file():
        return np.zeros((len(tokens), 1), dtype=np.float32)
    from llm4rec_recbole.language_models.encode_items import encode

    folder = encoded_folder(config)
    return encode(file, folder, config["text_encoder"]).of_items(list(tokens))


def encoded_folder(config: Any, suffix: str = "") -> Path:
    """Where vectors of the data set's texts by its encoder are kept."""
    return ENCODED / config["dataset"] / (config["text_encoder"].replace("/", "--") + suffix)
