"""Which components of EnhancedGenRec are on, and how they are built from the training data.

A component that is off, or that finds nothing in the data to work on, has a stand-in with its
methods, which adds nothing. So EnhancedGenRec reads the same with and without the component.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.adaptation.adapter import AdaptationSettings
from llm4rec_recbole.components.adaptation.prequential import no_event_times
from llm4rec_recbole.components.debiasing.debiased_loss import Debiasing
from llm4rec_recbole.components.explanation.aspects import AspectPreference
from llm4rec_recbole.components.fusion.fusion import FusedContent
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.components.item_texts import ItemTexts, NoTexts
from llm4rec_recbole.components.retrieval.context import RetrievedContext
from llm4rec_recbole.components.sasrec_term import SasrecTerm
from llm4rec_recbole.components.training_features import TrainingFeatures
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError

#: The paper's components, in its order, and a SASRec beside the language model.
COMPONENTS = ("fusion", "retrieval", "debiasing", "explanation", "adaptation", "sasrec")

#: The models of Table V, each with one component: name → the components that are on by default.
VARIANTS: dict[str, tuple[str, ...]] = {
    "GenRecFusion": ("fusion",),
    "GenRecRetrieval": ("retrieval",),
    "GenRecDebias": ("debiasing",),
    "GenRecExplain": ("explanation",),
    "GenRecAdapt": ("adaptation",),
}


class NoContent(nn.Module):
    """In place of fusion.FusedContent: an item's vector is its own."""

    uses_text = False

    def add_to(self, own: Tensor, ids: Tensor | None = None) -> Tensor:
        return own

    def freeze(self) -> None:
        pass


class NoRetrieval(nn.Module):
    """In place of retrieval.RetrievedContext: no entries, (B, L, 0), so no tokens."""

    uses_text = False

    def add_to(self, history: Tensor, *unused: Any) -> Tensor:
        return history

    def before(self, position: Tensor) -> Tensor:
        return position.new_zeros(*position.shape, 0)

    def now(self, held_out: HeldOut, rows: np.ndarray) -> Tensor:
        return torch.zeros(len(rows), 1, 0, dtype=torch.int64)

    def at(self, histories: list[np.ndarray], *unused: Any) -> Tensor:
        return torch.zeros(len(histories), 1, 0, dtype=torch.int64)


class NoRelations(nn.Module):
    """In place of item_relations.RelationTerm."""

    def forward(self, history: Tensor) -> float:
        return 0.0


class NoDebiasing(nn.Module):
    """In place of debiasing.Debiasing: plain dot products, and all targets weigh the same."""

    fairness_weight = 0.0

    def factors(self, states: Tensor, table: Tensor, *unused: Any) -> tuple[Tensor, Tensor]:
        return states, table

    def target_weights(self, rows: Tensor) -> None:
        return None

    def scores(self, states: Tensor, table: Tensor) -> Tensor:
        return states @ table.T

    def fairness_loss(self, *unused: Any) -> float:
        return 0.0


class NoAspects(nn.Module):
    """In place of explanation.AspectPreference: no distribution, and 0 in loss and scores."""

    def loss(self, user: Tensor, items: Tensor) -> float:
        return 0.0

    def forward(self, user: Tensor) -> tuple[None, float]:
        return None, 0.0


class NoSasrec(nn.Module):
    """In place of sasrec_term.SasrecTerm."""

    def forward(self, items: Tensor) -> float:
        return 0.0


@dataclass
class Components:
    """The components of one model. One that is off, or that finds no data, is its stand-in."""

    content: Any = field(default_factory=NoContent)  # fusion (1-6)
    retrieved: Any = field(default_factory=NoRetrieval)  # retrieval (7-12)
    relations: Any = field(default_factory=NoRelations)  # retrieval, as a term of the ranking
    debiasing: Any = field(default_factory=NoDebiasing)  # (13-18)
    aspects: Any = field(default_factory=NoAspects)  # explanation (19-20)
    adaptation: AdaptationSettings | None = None  # (26-33)
    sasrec: Any = field(default_factory=NoSasrec)  # not in the paper
    #: Component → what the data lack, of those that are on and find nothing to work on.
    idle: dict[str, str] = field(default_factory=dict)


def build_components(
    names: tuple[str, ...], config: Any, dataset: Any, features: TrainingFeatures
) -> Components:
    """The components `names`, in the paper's order. dataset: RecBole's training data."""
    parts, d = Components(), config["hidden_size"]
    if "fusion" in names and features.has_content:
        parts.content = FusedContent(
            features.content, d, config["text_tokens"], config["content_init_weight"]
        )
    if "retrieval" in names:
        parts.relations = RelationTerm(
            features.users,
            features.items,
            features.n_items,
            config["max_relation_items"],
            config["relation_reg"],
            config["relation_decay"],
            config["relation_next_weight"],
        )
        if config["retrieved_entries"]:
            parts.retrieved = RetrievedContext(config, dataset, features)
    if "debiasing" in names:
        parts.debiasing = Debiasing(features, d, config)
    if "explanation" in names and features.categories.any():
        parts.aspects = AspectPreference(d, torch.from_numpy(features.categories))
    if "adaptation" in names:
        parts.adaptation = AdaptationSettings(
            rate=config["adaptation_rate"],
            momentum=config["adaptation_momentum"],
            uncertainty_decay=config["adaptation_uncertainty_decay"],
            update_fraction=config["adaptation_update_fraction"],
            ewc=config["adaptation_ewc"],
            batch=config["adaptation_batch"],
        )
    if "sasrec" in names:
        texts: ItemTexts | NoTexts = NoTexts()
        if "fusion" in names and config["sasrec_text_std"]:
            if not features.content.text.any():
                raise InputError("sasrec_text_std: no item has a text", hint="--sasrec_text_std=0")
            texts = ItemTexts(features.content.text.numpy(), d, config["sasrec_text_std"])
        length, dropout = config["MAX_ITEM_LIST_LENGTH"], config["sasrec_dropout"]
        parts.sasrec = SasrecTerm(features.n_items, d, length, dropout, texts)
    parts.idle = {name: why for name, why in lacking(config, features).items() if name in names}
    return parts


def lacking(config: Any, features: TrainingFeatures) -> dict[str, str]:
    """Component → what the data lack that it works on; only those that lack something."""
    why = {}
    if not features.has_content:
        why["fusion"] = "no texts, categories, years or ratings"
    if not features.categories.any():
        why["explanation"] = "no categories of items"
    if reason := no_event_times(config):
        why["adaptation"] = reason
    return why


def chosen_components(given: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    """The components that the option `components` names, in the paper's order; `default` for
    None. Raises InputError for a name that is not a component."""
    if given is None:
        return default
    invalid = [name for name in given if name not in COMPONENTS]
    if invalid:
        raise InputError(f"there is no component {invalid[0]}", hint=", ".join(COMPONENTS))
    return tuple(name for name in COMPONENTS if name in given)
