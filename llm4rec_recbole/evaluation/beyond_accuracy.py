"""Table II of one run: diversity, coverage, novelty and fairness of the lists that were ranked."""

from __future__ import annotations

from typing import Any

import numpy as np

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import item_categories, user_groups
from llm4rec_recbole.evaluation.metrics import (
    coverage,
    exposure_of_categories,
    fairness,
    intra_list_diversity,
    item_novelty,
    item_parity,
    mean_of_known,
    ndcg,
    novelty,
    shuffled_parity,
    user_parity,
)
from llm4rec_recbole.evaluation.ranking import Rankings

K = 10
SHUFFLES = 499  # of the groups, for the ranges of fairness under the null


def beyond_accuracy(
    rankings: Rankings, config: Any, dataset: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Table II's metrics of one run, and the two of them that each user has, (U,) float64.

    `dataset` is the phase that was ranked. A metric is None where the data set's files lack what
    it needs: categories of items, or groups of users. The field descriptions are in run_record.py.
    """
    categories, groups = features(config, dataset)
    top = rankings.top_100
    information = item_novelty(dataset.train_counts, dataset.train_users)
    per_user = {
        f"intra_list_diversity@{K}": intra_list_diversity(top, categories, K),
        f"novelty@{K}": novelty(top, information, K),
    }
    ndcgs = ndcg(rankings.rank_full, K)
    groups = {name: group[rankings.users] for name, group in groups.items()}
    users = {name: user_parity(ndcgs, group) for name, group in groups.items()}
    items = item_parity(top, categories, K)
    metrics: dict[str, Any] = {
        name: _or_none(mean_of_known(values)) for name, values in per_user.items()
    }
    for length in (K, 100):
        metrics[f"coverage@{length}"] = coverage(top, len(categories), length)
    metrics[f"fairness@{K}"] = _or_none(fairness(users, items))
    metrics[f"user_fairness@{K}"] = _or_none(mean_of_known(np.array(list(users.values()))))
    metrics[f"item_exposure@{K}"] = _or_none(items)
    parts = {name: _or_none(part) for name, part in (users | {"category": items}).items()}
    metrics[f"fairness_parts@{K}"] = parts
    exposure, membership = exposure_of_categories(top, categories, K)
    metrics[f"fairness_null@{K}"] = {
        "users": _shuffled_range(ndcgs, [_membership(group) for group in groups.values()]),
        "items": _shuffled_range(exposure, [membership]),
        "shuffles": SHUFFLES,
    }
    return metrics, per_user


def _membership(group: np.ndarray) -> np.ndarray:
    """(U, G) float64: 1 at the user's group; a row of zeros where `group` (U,) is -1."""
    present = np.unique(group[group >= 0])
    return (group[:, None] == present).astype(np.float64)


def _shuffled_range(benefit: np.ndarray, memberships: list[np.ndarray]) -> dict[str, float] | None:
    """The middle 95 % of the mean parity with shuffled groups; None without two groups."""
    several = [m for m in memberships if np.count_nonzero(m.sum(axis=0)) > 1]
    if not several:
        return None
    low, high = np.quantile(shuffled_parity(benefit, several, SHUFFLES), [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


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
