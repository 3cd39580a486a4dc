"""What EnhancedGenRec chooses by its validation items, so that it fits a new data set.

before training      λ of the item relations, by the NDCG@10 of the relations alone
at each validation   γ of the relations, and the weights of the terms that are added to the
                     ranking's scores, by the NDCG@10 of the sum
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

from llm4rec_recbole.components.absent import NoAspects, NoRelations
from llm4rec_recbole.components.adaptation.interleave import of_kind, prequential_rows
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.evaluation.score_weights import (
    MOST_ROWS,
    ROWS_AT_ONCE,
    WEIGHTS,
    best_weight,
    choose,
    ndcg_at_weights,
    rows_to_choose_by,
)

REG_WEIGHTS = (200.0, 50.0, 500.0)  # λ, the default first
FIRST_WEIGHTS = {"relations": 16.0, "aspects": 0.1}  # before the first validation
DECAYS = (0.9, 0.7, 0.8, 0.95, 1.0)  # γ, the default first


class ValidationChoices:
    """Mixin for EnhancedGenRec. `weights` has the weight of each added term by its name."""

    weights: dict[str, float]  # of the terms that are there
    terms_to_weigh: list[str]  # those whose weight is chosen
    chosen_feedback: str | None = None  # explicit, implicit or none; None where nothing was chosen

    def start_weights(self: Any, config: Any) -> None:
        """Set the weights before the first validation; ~ is chosen there."""
        given = {
            "relations": config["relation_weight"],
            "aspects": config["aspect_score_weight"],
        }
        absent = {
            "relations": isinstance(self.relations, NoRelations),
            "aspects": isinstance(self.aspects, NoAspects),
        }
        self.relation_reg: float | None = config["relation_reg"]
        self.relation_decay: float | None = config["relation_decay"]
        self.weights = {
            name: FIRST_WEIGHTS[name] if weight is None else float(weight)
            for name, weight in given.items()
            if not absent[name]
        }
        self.terms_to_weigh = [name for name in self.weights if given[name] is None]

    def before_training(self: Any, held_out: HeldOut) -> None:
        """Fit the item relations; choose λ where the option is ~."""
        if isinstance(self.relations, RelationTerm):
            fit_relations(
                self.relations, held_out, self.length, self.relation_reg, self.relation_decay
            )

    @torch.no_grad()
    def before_validation(self: Any, held_out: HeldOut) -> None:
        """Choose γ and the weights of the added terms, one term after another, the others fixed."""
        decays = DECAYS if self.relation_decay is None else (self.relation_decay,)
        for name in self.terms_to_weigh:

            def parts(
                rows: np.ndarray, name: str = name
            ) -> tuple[torch.Tensor, list[torch.Tensor]]:
                users, items, entries = self.inputs_of(held_out, rows)
                table = self.item_table()
                states = self(users, items, table, entries, last_only=True)
                terms = self.score_terms(states, items, table)
                own = [terms.pop(name)]
                if name == "relations":
                    own = [self.relations(items, decay) for decay in decays]
                return self.weighted(terms).cpu(), [term.cpu() for term in own]

            self.weights[name], variant = best_weight(
                parts, held_out, WEIGHTS, first_by_default=name != "relations"
            )
            if name == "relations":
                self.relations.decay = decays[variant]

    @torch.no_grad()
    def choose_feedback(self: Any, valid: HeldOut, outcomes: Outcomes) -> str | None:
        """The feedback whose replay of the validation items has the best NDCG@10.

        explicit reads the ratings, where there are any; implicit does not. None where neither is
        clearly better than the frozen model (`choose`). The replay has the last MOST_ROWS items;
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
        if isinstance(self.relations, RelationTerm):
            if self.relation_reg is None and self.relations.fitted_with is not None:
                chosen["relation_reg"] = self.relations.fitted_with
            if self.relation_decay is None:
                chosen["relation_decay"] = self.relations.decay
        if self.chosen_feedback is not None:
            chosen["adaptation_feedback"] = self.chosen_feedback
        return chosen

    def other_parameter(self: Any) -> dict[str, Any]:
        """What a checkpoint holds beside the state dict."""
        values: dict[str, Any] = {"weights": self.weights}
        if isinstance(self.relations, RelationTerm):
            values["relations"] = [self.relations.fitted_with, self.relations.decay]
        return values

    def load_other_parameter(self: Any, values: dict[str, Any]) -> None:
        """Restore what `other_parameter` returned; fit the relations where they are not fitted."""
        self.weights |= {name: float(weight) for name, weight in values["weights"].items()}
        if isinstance(self.relations, RelationTerm) and values["relations"][0] is not None:
            self.relations.fit(*values["relations"])


def fit_relations(
    relations: RelationTerm,
    held_out: HeldOut,
    length: int,
    reg_weight: float | None,
    decay: float | None,
) -> None:
    """Fit `relations` to the last `length` items of each history.

    reg_weight, decay: λ and γ; None: those with the best NDCG@10 of the relations alone.
    """
    regs = REG_WEIGHTS if reg_weight is None else (reg_weight,)
    decays = DECAYS if decay is None else (decay,)
    candidates = [(reg, gamma) for reg in regs for gamma in decays]
    chosen = 0
    if len(candidates) > 1 and len(held_out):
        values = []
        for candidate in candidates:
            relations.fit(*candidate)
            values.append(ndcg_alone(relations, held_out, length))
        chosen = choose(np.array(values))
    relations.fit(*candidates[chosen])


def ndcg_alone(relations: RelationTerm, held_out: HeldOut, length: int) -> np.ndarray:
    """The NDCG@10 of `relations` alone, of each of the rows of `rows_to_choose_by`, (N,)."""
    values = []
    for rows in rows_to_choose_by(held_out):
        items, lengths = held_out.last(rows, length)
        history = torch.from_numpy(items[:, : lengths.max(initial=1)])
        scores = relations(history.to(relations.matrix_index.device)).cpu()
        seen, targets = held_out.seen_mask(rows), held_out.targets[rows]
        values.append(ndcg_at_weights(scores, scores, targets, seen, [0.0])[0])
    return np.concatenate(values)
