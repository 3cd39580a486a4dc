"""Table II's metrics under the names by which RecBole's option `metrics` finds them.

    --metrics="['IntraListDiversity','Coverage','Novelty','Fairness']" --topk="[10,100]"

Each is the function of the same name in evaluation/metrics, which holds its equation and range.
They serve `protocol: recbole`; under this project's own protocols every run record holds them
anyway.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from recbole.evaluator import register
from recbole.evaluator.base_metric import AbstractMetric
from recbole.utils import EvaluatorType

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation import metrics
from llm4rec_recbole.evaluation.metrics import coverage, intra_list_diversity, novelty
from llm4rec_recbole.recbole_plugin.extensions import add_metrics


class _ListMetric(AbstractMetric):
    """A metric of the recommended lists, reported for each k of the option `topk`."""

    metric_type = EvaluatorType.RANKING

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.config = config

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        name = type(self).__name__
        values = {k: self.at(k, dataobject) for k in self.config["topk"]}
        if np.isnan([*values.values()]).any():
            hint = "its .item or .user file beside the interactions must say"
            raise InputError(f"{name} needs categories or groups that are not known", hint=hint)
        return {f"{name.lower()}@{k}": round(v, self.decimal_place) for k, v in values.items()}

    def at(self, k: int, dataobject: Any) -> float:
        raise NotImplementedError


class IntraListDiversity(_ListMetric):
    """Mean over the users with two known items of how little their lists' items share."""

    metric_need = ("rec.items", "data.item_categories")

    def at(self, k: int, dataobject: Any) -> float:
        top, categories = _arrays(dataobject, *self.metric_need)
        values = intra_list_diversity(top, categories, k)
        defined = ~np.isnan(values)
        return float(values[defined].mean()) if defined.any() else float("nan")


class Coverage(_ListMetric):
    """The share of the catalogue that anybody gets recommended."""

    metric_need = ("rec.items", "data.item_novelty")

    def at(self, k: int, dataobject: Any) -> float:
        top, item_novelty = _arrays(dataobject, *self.metric_need)
        return coverage(top, len(item_novelty), k)


class Novelty(_ListMetric):
    """Mean normalised self-information of the recommended items."""

    metric_need = ("rec.items", "data.item_novelty")

    def at(self, k: int, dataobject: Any) -> float:
        top, item_novelty = _arrays(dataobject, *self.metric_need)
        return float(np.nanmean(novelty(top, item_novelty, k)))


class Fairness(_ListMetric):
    """Parity of NDCG between groups of users and of exposure between categories of items."""

    metric_need = (
        "rec.items", "rec.topk", "rec.users", "data.item_categories", "data.user_groups",
    )  # fmt: skip

    def at(self, k: int, dataobject: Any) -> float:
        from recbole.evaluator.metrics import NDCG

        top, hits, users, categories, groups = _arrays(dataobject, *self.metric_need)
        ndcg = NDCG(self.config).metric_info(hits[:, :-1].astype(bool), hits[:, -1])[:, k - 1]
        parts = {str(n): metrics.user_parity(ndcg, column[users])
                 for n, column in enumerate(groups.T)}  # fmt: skip
        return metrics.fairness(parts, metrics.item_parity(top, categories, k))


def _arrays(dataobject: Any, *names: str) -> list[np.ndarray]:
    return [dataobject.get(name).numpy() for name in names]


if "coverage" not in register.metrics_dict:  # this module was imported before RecBole's tables
    add_metrics(register)
