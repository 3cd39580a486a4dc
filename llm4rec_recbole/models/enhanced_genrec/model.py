"""EnhancedGenRec: the paper's model, put together from its components.

                        ┌ fusion (1–6) ───────── item vectors ──┐
    training            │                                       ▼
    interactions ───────┼ retrieval (7–10) ─ soft tokens ─▶ [h_user; K; y_<t] ─▶ language model (12)
    and metadata        │           └─ relations ── + λ s ──▶ softmax(W_o h_t + b_o) (11)
                        ├ debiasing (13–18) ── weights of the loss, strata, adversary
                        ├ explanation (19–20) ── aspects of taste, + λ log P(aspects, item)
                        └ adaptation (26–33) ── learns from the validation items, one by one

`components` names those that take part; with none it is the GenRec backbone, Table IV's first row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import nn

from llm4rec_recbole.components.adaptation.adapter import AdaptationSettings, EventLoss
from llm4rec_recbole.components.adaptation.equations import dislike_loss, normalised_entropy
from llm4rec_recbole.components.adaptation.steps import NextItemEvent, adapt
from llm4rec_recbole.components.debiasing.debiased_loss import Debiasing, log_likelihood
from llm4rec_recbole.components.explanation.aspects import AspectPreference
from llm4rec_recbole.components.fusion.fusion import MultimodalFusion
from llm4rec_recbole.components.fusion.item_content import spectral_vectors
from llm4rec_recbole.components.item_relations import item_relations, related_places
from llm4rec_recbole.components.retrieval.context import (
    RelationContext,
    RetrievedContext,
    Sequence,
    context_sequence,
)
from llm4rec_recbole.components.retrieval.reviews import reviews_to_retrieve
from llm4rec_recbole.components.training_features import Knowledge, knowledge
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.backbone import Backbone, arithmetic
from llm4rec_recbole.models.enhanced_genrec.options import check_options
from llm4rec_recbole.training.losses import full_cross_entropy

MOST_LOGITS = 1 << 24  # that fairness may hold of a batch; of more positions it takes every n-th
TOGETHER = 64  # histories read at once: enough for one core, and their states stay in its cache
COMPONENTS = ("fusion", "retrieval", "debiasing", "explanation", "adaptation")


class EnhancedGenRec(SequentialRecommender):
    """See the head of this file; properties/model/EnhancedGenRec.yaml explains every option."""

    #: What a run without the option `components` has.
    default_components: tuple[str, ...] = COMPONENTS

    steps: torch.Tensor
    unknown: torch.Tensor | None

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        check_options(config)
        self.components = chosen_components(config["components"], self.default_components)
        self.user_field = config["USER_ID_FIELD"]
        self.length = config["MAX_ITEM_LIST_LENGTH"]
        d = config["hidden_size"]
        known = knowledge(config, dataset)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.item_embedding = nn.Embedding(self.n_items, d, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight[1:], std=0.02)
        if config["spectral_init_std"]:
            near = spectral_vectors(known.users, known.items, self.n_items, d)
            with torch.no_grad():
                self.item_embedding.weight += config["spectral_init_std"] * torch.from_numpy(near)
        self.item_bias = nn.Parameter(torch.zeros(self.n_items))  # b_o of (11)
        unknown = None
        if config["cold_items_as_negatives"] is False:
            unknown = torch.from_numpy(known.counts == 0)
            unknown[0] = False  # the pad is a negative
        self.register_buffer("unknown", unknown, persistent=False)  # (n_items,), or None
        self.user_tokens = UserTokens(known.user_groups, d)
        self.backbone = Backbone(
            config["llm"],
            config["llm_layers"],
            d,
            config["lora_rank"],
            config["hidden_dropout_prob"],
            arithmetic(config["llm_dtype"], config["device"].type),
        )
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.fixed_content: torch.Tensor | None = None
        self._add_components(config, dataset, known)
        self.pretrained = self._pretrained(config, known)

    def _add_components(self, config: Any, dataset: Any, known: Knowledge) -> None:
        d = config["hidden_size"]
        self.fusion: MultimodalFusion | None = None
        self.relations: RelationContext | None = None
        self.context: RetrievedContext | None = None
        self.debiasing: Debiasing | None = None
        if "fusion" in self.components and known.content.has_any:
            self.fusion = MultimodalFusion(known.content, d, config["text_tokens"])
            # Normalised vectors are ten times as long as the items' own are at the start.
            self.content_share = nn.Parameter(torch.tensor([config["content_init_weight"]]))
        if "retrieval" in self.components:
            places = related_places(known.items, self.n_items, config["max_relation_items"])
            found = item_relations(
                known.users, places[known.items], int(places.max()) + 1, config["relation_reg"]
            )
            self.relations = RelationContext(
                found, torch.from_numpy(places), config["relation_decay"], config["relation_weight"]
            )
            if config["retrieved_entries"] and known.content.text.any():
                reviews = reviews_to_retrieve(config, dataset, config["retrieved_reviews"])
                self.context = RetrievedContext(known, reviews, d, config["retrieved_entries"])
        if "debiasing" in self.components:
            self.debiasing = Debiasing(known, d, config)
        self.aspects: AspectPreference | None = None
        self.aspect_loss_weight, self.aspect_score_weight = (
            config["aspect_loss_weight"],
            config["aspect_score_weight"],
        )
        if "explanation" in self.components and known.categories.any():
            self.aspects = AspectPreference(d, torch.from_numpy(known.categories))
        self.adaptation: AdaptationSettings | None = None
        if "adaptation" in self.components:
            self.adaptation = AdaptationSettings(
                rate=config["adaptation_rate"],
                momentum=config["adaptation_momentum"],
                uncertainty_decay=config["adaptation_uncertainty_decay"],
                update_fraction=config["adaptation_update_fraction"],
                ewc=config["adaptation_ewc"],
            )

    def _pretrained(self, config: Any, known: Knowledge) -> str:
        """What the run record names: the language model, and the texts' encoder if it is used."""
        reads_texts = self.fusion is not None or self.context is not None
        if reads_texts and known.content.text.any():
            return f"{config['llm']}, {config['text_encoder']}"
        return config["llm"]

    # What the catalogue and a history look like

    def item_table(self) -> torch.Tensor:
        """Every item's vector, (n_items, d): its own and, with fusion, its content's."""
        table = self.item_embedding.weight
        if self.fusion is None:
            return table
        content = self.fusion() if self.fixed_content is None else self.fixed_content
        return table + self.content_share * content

    def states(
        self, users: torch.Tensor, items: torch.Tensor, table: torch.Tensor, retrieved: Any = None
    ) -> torch.Tensor:
        """h_t of Eq. (12) after each item of each history, (B, L, d).

        users: (B,); items: (B, L), oldest first, padded on the right; table: (n_items, d);
        retrieved: entries (B, K) of RetrievedContext, None without.
        """
        sequence, first = self._sequence(users, items, table, retrieved)
        states = self.backbone(sequence.embeddings, sequence.mask, sequence.positions)
        return self.dropout(states[:, first:])

    def last_states(
        self, users: torch.Tensor, items: torch.Tensor, table: torch.Tensor, retrieved: Any = None
    ) -> torch.Tensor:
        """h_t of Eq. (12) after the last item of each history, (B, d): see `states`."""
        sequence, first = self._sequence(users, items, table, retrieved)
        at = first - 1 + (items > 0).sum(1)  # (B,)
        return self.dropout(
            self.backbone(sequence.embeddings, sequence.mask, sequence.positions, at)[:, 0]
        )

    def _sequence(
        self, users: torch.Tensor, items: torch.Tensor, table: torch.Tensor, retrieved: Any
    ) -> tuple[Sequence, int]:
        """What the language model reads, and which of its tokens is a history's first item."""
        user = self.user_tokens(users)  # (B, d)
        if self.context is None or retrieved is None:
            tokens, there = (
                user.new_zeros(len(users), 0, user.shape[1]),
                items.new_zeros(len(users), 0, dtype=torch.bool),
            )
        else:
            tokens, there = self.context.tokens(retrieved)  # (B, K, d), (B, K)
        sequence = context_sequence(user, tokens, there, self.dropout(table[items]), items > 0)
        return sequence, 1 + tokens.shape[1]

    def calculate_loss(self, interaction: Any) -> torch.Tensor:
        """Cross-entropy over the catalogue at every position that has a next item, a scalar."""
        if self.training:
            self.steps += 1
        targets, position = interaction[self.POS_ITEM_ID], interaction["position"]  # (B, L) each
        table = self.item_table()
        retrieved = self.context.before(position) if self.context else None
        states = self.states(
            interaction[self.user_field], interaction[self.ITEM_SEQ], table, retrieved
        )
        has_target = targets > 0
        states, targets = states[has_target], targets[has_target]  # (N, d), (N,)
        bias: torch.Tensor = self.item_bias
        if self.unknown is not None:
            bias = bias.masked_fill(self.unknown, -torch.inf)
        loss = table.new_zeros(())
        if self.aspects is not None:
            loss = self.aspect_loss_weight * self.aspects.loss(states, targets)
        if self.debiasing is None:
            return loss + full_cross_entropy(states, table, targets, bias)
        left, right = self.debiasing.factors(states, table)
        rows = position[has_target]  # of the pairs to be predicted: one behind the last item seen
        weights = self.debiasing.ips_weights[rows]
        loss = loss + full_cross_entropy(left, right, targets, bias, weights)
        if not self.debiasing.is_fair:
            return loss
        users = interaction[self.user_field][:, None].expand_as(position)[has_target]
        few = slice(None, None, math.ceil(len(targets) * self.n_items / MOST_LOGITS))
        likely = log_likelihood(left[few], right, bias, targets[few])
        return loss + self.debiasing.fairness_loss(likely, users[few], targets[few])

    # Adaptation

    def after_training(self, held_out: HeldOut) -> None:
        """Learn from the validation items, one by one, if adaptation takes part."""
        if self.adaptation is not None:
            adapt(self, held_out)

    def fix_content(self) -> None:
        """Compute the items' content vectors once: no single step changes what a title means."""
        if self.fusion is not None:
            with torch.no_grad():
                self.fixed_content = self.fusion()
            self.fusion.requires_grad_(False)

    def event_loss(self, step: NextItemEvent) -> EventLoss:
        """−log P of a step's item under the ranking's own scores, for OnlineAdapter; of an item
        that was not liked, `dislike_loss`."""
        device = self.item_bias.device
        history = torch.from_numpy(step.history[-self.length :]).to(device)[None]
        retrieved = None
        if self.context is not None and step.query_time is not None:
            retrieved = self.context.at([step.history], np.array([step.query_time])).to(device)
        scores = self.score(torch.tensor([step.user], device=device), history, retrieved)[0]
        scores = scores.index_fill(0, torch.from_numpy(step.history).to(device), -torch.inf)
        log_probability = scores.log_softmax(0)[step.item]
        return EventLoss(
            loss=-log_probability if step.liked else dislike_loss(log_probability, self.n_items),
            kind=step.kind,
            baseline_loss=math.log(self.n_items if step.liked else 2),
            uncertainty=float(normalised_entropy(scores.detach())),
        )

    # Scoring

    @torch.no_grad()
    def aspect_distribution(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray | None:
        """p_u of (19) for rows of `held_out`, (B, A), for explanations; None without aspects."""
        if self.aspects is None:
            return None
        self.eval()
        table, users, items, retrieved = self.item_table(), *self._asked(held_out, rows)
        return self.aspects(self.last_states(users, items, table, retrieved))[0].cpu().numpy()

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """Scores of all items, (B, n_items), for RecBole's rows: users and their last items."""
        return self.score(interaction[self.user_field], interaction[self.ITEM_SEQ])

    def predict(self, interaction: Any) -> torch.Tensor:
        """Scores (B,) of one item for each row."""
        scores = self.full_sort_predict(interaction)
        return scores.gather(1, interaction[self.ITEM_ID][:, None])[:, 0]

    @torch.no_grad()
    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) for rows of `held_out`, asked right after the last item seen."""
        table = self.item_table()
        scores = np.empty((len(rows), self.n_items), dtype=np.float32)
        order = np.argsort(held_out.indptr[rows + 1] - held_out.indptr[rows], kind="stable")
        for start in range(0, len(rows), TOGETHER):  # histories of like length: little padding
            part = order[start : start + TOGETHER]
            users, items, retrieved = self._asked(held_out, rows[part])
            scores[part] = self.score(users, items, retrieved, table).cpu().numpy()
        return scores

    def score(
        self,
        users: torch.Tensor,
        items: torch.Tensor,
        retrieved: Any = None,
        table: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(11) and what is added to it, (B, n_items), from users (B,), their last items (B, L),
        entries (B, K) of RetrievedContext, None for none, and the item table, where it is known."""
        table = self.item_table() if table is None else table
        states = self.last_states(users, items, table, retrieved)  # (B, d)
        debiasing = self.debiasing
        scores = states @ table.T if debiasing is None else debiasing.scores(states, table)
        scores = scores + self.item_bias
        if self.aspects is not None and self.aspect_score_weight:
            scores = scores + self.aspect_score_weight * self.aspects(states)[1]
        return scores if self.relations is None else scores + self.relations(items)

    def _asked(
        self, held_out: HeldOut, rows: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Users (B,), last items (B, L) and retrieved entries (B, K) of rows of `held_out`."""
        items, lengths = held_out.last(rows, self.length)
        device = self.item_bias.device
        return (
            torch.from_numpy(held_out.users[rows]).to(device),
            torch.from_numpy(items[:, : lengths.max()]).to(device),
            self.context.now(held_out, rows).to(device) if self.context else None,
        )


class UserTokens(nn.Module):
    """h_user of Eq. (12): what is known of a user's groups, on top of what all users share."""

    groups: torch.Tensor

    def __init__(self, groups: dict[str, np.ndarray], d: int) -> None:
        """groups: {attribute: (n_users,) int64, -1 where unknown}."""
        super().__init__()
        columns, first = [], 1  # number 0 is unknown, the same for all attributes
        for numbers in groups.values():
            columns.append(np.where(numbers >= 0, numbers + first, 0))
            first += int(numbers.max()) + 1
        stacked = np.stack(columns, 1) if columns else np.zeros((1, 0), dtype=np.int64)
        self.register_buffer("groups", torch.from_numpy(stacked), persistent=False)
        self.everyone = nn.Parameter(0.02 * torch.randn(d))
        self.group = nn.Embedding(first, d, padding_idx=0)
        nn.init.normal_(self.group.weight[1:], std=0.02)

    def forward(self, users: torch.Tensor) -> torch.Tensor:
        """(B, d) from ids (B,)."""
        if not self.groups.shape[1]:
            return self.everyone.expand(len(users), -1)
        return self.everyone + self.group(self.groups[users]).sum(1)


def chosen_components(given: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    """The components that the option names, in the paper's order; `default` where it is empty.

    Raises InputError for a name that is none.
    """
    if given is None:
        return default
    unknown = [name for name in given if name not in COMPONENTS]
    if unknown:
        raise InputError(f"there is no component {unknown[0]}", hint=", ".join(COMPONENTS))
    return tuple(name for name in COMPONENTS if name in given)


class GenRecFusion(EnhancedGenRec):
    """The backbone with multimodal fusion alone (Table V)."""

    default_components = ("fusion",)


class GenRecRetrieval(EnhancedGenRec):
    """The backbone with retrieval alone (Table V)."""

    default_components = ("retrieval",)


class GenRecDebias(EnhancedGenRec):
    """The backbone with debiasing alone (Table V)."""

    default_components = ("debiasing",)


class GenRecExplain(EnhancedGenRec):
    """The backbone with explanations alone (Table V)."""

    default_components = ("explanation",)


class GenRecAdapt(EnhancedGenRec):
    """The backbone with adaptation alone (Table V)."""

    default_components = ("adaptation",)
