"""What EnhancedGenRec chooses by its validation items, so that it fits a new data set.

at each validation   the weights of the terms that are added to the ranking's scores, by the NDCG@10
                     of the sum
after training       whether the model learns between its rankings of the test, and from what
                     (26–33), by a replay of the validation items: each is ranked by a model that
                     has learned only from earlier ones

Each choice but that of a term's weight has a default, which only a clear gain replaces
(evaluation/score_weights.py, `choose`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm4rec_recbole.components.adaptation.prequential import of_kind, prequential_rows
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.evaluation.score_weights import (
    MOST_ROWS,
    ROWS_AT_ONCE,
    WEIGHTS,
    best_weight,
    choose,
    ndcg_at_weights,
)
from llm4rec_recbole.models.enhanced_genrec.build import NoAspects, NoRelations, NoSasrec

FIRST_WEIGHTS = {"sasrec": 1.0, "relations": 16.0, "aspects": 0.1}  # before the first validation


class ValidationChoices:
    """Mixin for EnhancedGenRec. `weights` has the weight of each added term by its name."""

    weights: dict[str, float]  # of the terms that are there
    terms_to_weigh: list[str]  # those whose weight is chosen
    chosen_feedback: str | None = None  # explicit, implicit or none; None where nothing was chosen

    def start_weights(self: Any, config: Any) -> None:
        """Set the weights before the first validation; ~ is chosen there."""
        given = {
            "sasrec": config["sasrec_weight"],
            "relations": config["relation_weight"],
            "aspects": config["aspect_score_weight"],
        }
        parts = {"sasrec": self.sasrec, "relations": self.relations, "aspects": self.aspects}
        self.weights = {
            name: FIRST_WEIGHTS[name] if weight is None else float(weight)
            for name, weight in given.items()
            if not isinstance(parts[name], NoSasrec | NoRelations | NoAspects)
        }
        self.terms_to_weigh = [name for name in self.weights if given[name] is None]

    def before_training(self: Any, held_out: HeldOut) -> None:
        """Fit the item relations."""
        if isinstance(self.relations, RelationTerm):
            self.relations.fit()

    @torch.no_grad()
    def before_validation(self: Any, held_out: HeldOut) -> None:
        """Choose the weights of the added terms, one term after another, the others fixed."""
        for name in self.terms_to_weigh:

            def parts(rows: np.ndarray, name: str = name) -> tuple[Tensor, Tensor]:
                users, items, entries = self.inputs_of(held_out, rows)
                table = self.item_table()
                states = self(users, items, table, entries, last_only=True)
                terms = self.score_terms(states, items, table)
                own = terms.pop(name)
                return self.weighted(terms).cpu(), own.cpu()

            self.weights[name] = best_weight(
                parts, held_out, WEIGHTS, first_by_default=name == "aspects"
            )

    @torch.no_grad()
    def choose_feedback(self: Any, valid: HeldOut, outcomes: Outcomes) -> str | None:
        """The feedback whose replay of the validation items has the best NDCG@10; None where
        neither is clearly better than the frozen model (`choose`).

        explicit reads the ratings, where there are any. The replay has the last MOST_ROWS items;
        the model is not changed.
        """
        last = np.argsort(outcomes.times, kind="stable")[-MOST_ROWS:]
        valid = valid.subset(last)
        liked = None if outcomes.liked is None else outcomes.liked[last]
        outcomes = Outcomes(outcomes.times[last], liked)
        query_times = valid.query_times(outcomes.times)
        candidates = [None, "explicit", "implicit"] if liked is not None else [None, "implicit"]
        trained = {n: p.detach().clone() for n, p in self.named_parameters() if p.requires_grad}
        values = np.zeros((len(candidates), len(valid)))
        for replayed, feedback in zip(values, candidates):
            groups: Iterable[np.ndarray] = [np.arange(len(valid))]
            if feedback is not None:
                groups = prequential_rows(self, valid, of_kind(outcomes, feedback), query_times)
            for rows in groups:
                replayed[rows] = self._ndcg_of(valid, rows)
            for name, parameter in trained.items():
                self.get_parameter(name).copy_(parameter)
        best = candidates[choose(values)]
        self.chosen_feedback = best or "none"
        return best

    def _ndcg_of(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """The NDCG@10 of each of `rows` (B,), (B,)."""
        values = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            chunk = rows[start : start + ROWS_AT_ONCE]
            scores = torch.from_numpy(self.score_histories(held_out, chunk))
            seen, targets = held_out.seen_mask(chunk), held_out.targets[chunk]
            values.append(ndcg_at_weights(scores, scores, targets, seen, [0.0])[0])
        return np.concatenate(values)

    @property
    def chosen_on_validation(self: Any) -> dict[str, float | str]:
        """The chosen values, for the run record."""
        chosen: dict[str, float | str] = {
            f"weight of {name}": self.weights[name] for name in self.terms_to_weigh
        }
        if self.chosen_feedback is not None:
            chosen["adaptation_feedback"] = self.chosen_feedback
        return chosen

    def other_parameter(self: Any) -> dict[str, Any]:
        """What a checkpoint holds beside the state dict."""
        return {"weights": self.weights}

    def load_other_parameter(self: Any, values: dict[str, Any]) -> None:
        """Restore what `other_parameter` returned."""
        self.weights |= {name: float(weight) for name, weight in values["weights"].items()}
