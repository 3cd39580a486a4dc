"""What the run record says beyond accuracy: Table II, from the lists that were ranked."""

from __future__ import annotations

from typing import Any

import numpy as np

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import item_categories, user_groups
from llm4rec_recbole.evaluation.metrics import (
    coverage,
    fairness,
    intra_list_diversity,
    item_novelty,
    item_parity,
    mean_of_known,
    ndcg,
    novelty,
    user_parity,
)
from llm4rec_recbole.evaluation.ranking import Rankings

K = 10


def beyond_accuracy(
    rankings: Rankings, config: Any, dataset: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Table II's metrics of one run, and the two of them that each user has, (U,) float64.

    `dataset` is the phase that was ranked. A metric is None where the data set's files lack what
    it needs: categories of items, or groups of users. `fairness_parts@10` holds what fairness is
    the mean of: one entry for each known attribute of users, and `category`.
    """
    categories, groups = features(config, dataset)
    top = rankings.top_100
    information = item_novelty(dataset.train_counts, dataset.train_users)
    per_user = {
        f"intra_list_diversity@{K}": intra_list_diversity(top, categories, K),
        f"novelty@{K}": novelty(top, information, K),
    }
    accuracy = ndcg(rankings.rank_full, K)
    users = {name: user_parity(accuracy, group[rankings.users]) for name, group in groups.items()}
    items = item_parity(top, categories, K)
    metrics = {name: _or_none(mean_of_known(values)) for name, values in per_user.items()}
    metrics["coverage@100"] = coverage(top, len(categories), 100)
    metrics[f"fairness@{K}"] = _or_none(fairness(users, items))
    parts = {name: _or_none(part) for name, part in (users | {"category": items}).items()}
    return metrics | {f"fairness_parts@{K}": parts}, per_user


def features(config: Any, dataset: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Categories (n_items, C) bool and groups of users, {attribute: (n_users,) int64}.

    Read from the data set's own files, whichever of their columns RecBole loads.
    """
    files = DatasetFiles.of(config)
    item_tokens = dataset.field2id_token[dataset.iid_field]
    user_tokens = dataset.field2id_token[dataset.uid_field]
    return (
        item_categories(files.path("item"), item_tokens, files.file_format),
        user_groups(files.path("user"), user_tokens, files.file_format),
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
