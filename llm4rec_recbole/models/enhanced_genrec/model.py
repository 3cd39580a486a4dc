"""EnhancedGenRec: the paper's model, composed of its components.

                        ┌ fusion (1–6) ───────── item vectors ──┐
    training            │                                       ▼
    interactions ───────┼ retrieval (7–10) ─ soft tokens ─▶ [h_user; y + k] ─▶ language model (12)
    and metadata        │           └─ relations ── + λ s ──▶ softmax(W_o h_t + b_o) (11)
                        ├ debiasing (13–18) ── weights of the loss, strata, adversary
                        ├ explanation (19–20) ── aspects of taste, + λ log P(aspects, item)
                        ├ adaptation (26–33) ── learns from the validation items, one by one
                        └ sasrec (not in the paper) ── + λ · scores of a small SASRec

The option `components` names the components that are on. Without any, the model is the GenRec
backbone, the first row of Table IV. A component that is off, or that finds no data to work on, is
replaced by its stand-in (build.py). The mixins hold what others call: mixins.py what RecBole, the
evaluation, online adaptation and explanations call, validation_choices.py what the trainer calls to
weigh the ranking's terms.
"""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor, nn

from llm4rec_recbole.components.debiasing.fairness import fair_loss
from llm4rec_recbole.components.retrieval.context import UserTokens, context_sequence
from llm4rec_recbole.components.training_features import training_features
from llm4rec_recbole.language_models.backbone import Backbone
from llm4rec_recbole.language_models.compute_dtype import compute_dtype
from llm4rec_recbole.models.enhanced_genrec.build import (
    COMPONENTS,
    VARIANTS,
    build_components,
    chosen_components,
)
from llm4rec_recbole.models.enhanced_genrec.mixins import OnlineLearning, Ranking
from llm4rec_recbole.models.enhanced_genrec.options import OPTIONS_OF
from llm4rec_recbole.models.enhanced_genrec.validation_choices import ValidationChoices
from llm4rec_recbole.training.batches import BatchItems
from llm4rec_recbole.training.losses import catalogue_loss


class EnhancedGenRec(Ranking, OnlineLearning, ValidationChoices, SequentialRecommender):
    """See the head of this file; properties/model/EnhancedGenRec.yaml explains every option."""

    batches = "position"  # training/batches.py
    schedule = "warmup_cosine"  # training/trainer.py

    #: The components of a run without the option `components`.
    default_components: tuple[str, ...] = COMPONENTS

    excluded_items: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.components = chosen_components(config["components"], self.default_components)
        self.user_field = config["USER_ID_FIELD"]
        self.length = config["MAX_ITEM_LIST_LENGTH"]
        d = config["hidden_size"]
        features = training_features(config, dataset)
        self.item_embedding = nn.Embedding(self.n_items, d, padding_idx=0)  # item_init fills it
        nn.init.normal_(self.item_embedding.weight[1:], std=0.02)
        self.item_bias = nn.Parameter(torch.zeros(self.n_items))  # b_o of (11)
        excluded = torch.zeros(self.n_items, dtype=torch.bool)
        if config["cold_items_as_negatives"] is False:
            excluded = torch.from_numpy(features.counts == 0)
            excluded[0] = False  # the pad is a negative
        self.register_buffer("excluded_items", excluded, persistent=False)  # (n_items,), from L_rec
        self.loss = catalogue_loss(config, dataset)
        self.user_tokens = UserTokens(features.user_groups, d)
        dtype = compute_dtype(config["llm_dtype"], config["device"].type)
        self.llm_dtype = str(dtype).removeprefix("torch.")  # for the run record
        self.backbone = Backbone(
            config["llm"],
            config["llm_layers"],
            d,
            config["lora_rank"],
            config["hidden_dropout_prob"],
            dtype,
        )
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        parts = build_components(self.components, config, dataset, features)
        self.content, self.retrieved = parts.content, parts.retrieved  # (1–6), (7–10)
        self.relations, self.debiasing = parts.relations, parts.debiasing  # (13–18)
        self.aspects, self.adaptation = parts.aspects, parts.adaptation  # (19–20), (26–33)
        self.sasrec = parts.sasrec
        self.language_model_share: float = config["language_model_share"]
        self.aspect_loss_weight: float = config["aspect_loss_weight"]
        self.feedback: str | None = config["adaptation_feedback"]
        self.adaptation_relations: bool = config["adaptation_relations"]
        self.start_weights(config)
        #: Component → why it is off, of those that find nothing to work on; for the run record.
        self.idle_components = parts.idle
        uses_text = self.content.uses_text or self.retrieved.uses_text
        #: The pretrained models that take part, for the run record.
        self.pretrained = (
            f"{config['llm']}, {config['text_encoder']}" if uses_text else config["llm"]
        )

    @classmethod
    def method_name(cls, config: Any) -> str | None:
        """The name of a run's records: EnhancedGenRec_fusion_retrieval for two components, …_none
        for none. None where the components are those that the model has by default."""
        chosen = chosen_components(config["components"], cls.default_components)
        if chosen == cls.default_components:
            return None
        return "_".join([EnhancedGenRec.__name__, *(chosen or ("none",))])

    @classmethod
    def options_without_reader(cls, config: Any) -> dict[str, str]:
        """Option → the component that alone reads it, for the components that are off."""
        chosen = chosen_components(config["components"], cls.default_components)
        off = [name for name in COMPONENTS if name not in chosen]
        return {option: name for name in off for option in OPTIONS_OF[name]}

    @classmethod
    def training_length(cls, config: Any) -> tuple[int, int, int]:
        """How often an item is a target on average where `epochs` is ~, and the least and the most
        epochs. With sasrec the language model reads only a share of the batches of an epoch."""
        if "sasrec" in chosen_components(config["components"], cls.default_components):
            return 700, 12, 28
        return 350, 6, 24

    def item_table(self, ids: Tensor | None = None) -> Tensor:
        """W_o of Eq. (11) and the items y of Eq. (12): the items' own vectors, and with fusion
        their content (1–6). (n_items, d); (M, d) for the items `ids` (M,)."""
        own = self.item_embedding.weight if ids is None else self.item_embedding(ids)
        return self.content.add_to(own, ids)

    def forward(
        self,
        users: Tensor,
        items: Tensor,
        table: Tensor,
        entries: Tensor | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Eq. (12): h_t = LLM([h_user; Embed(K_retrieved); y_<t]) after each item, (B, L, d).

        users: (B,); items: (B, L), oldest first, padded on the right; table: (n_items, d); entries:
        (B, L, K) of the repository, None for none. Each position has entries of its own, whose
        token is added to its item's. last_only: only after each history's last item, (B, d).
        """
        own = self.item_embedding.weight  # of all items: entries are not only of the table's
        history = self.retrieved.add_to(table[items], entries, own)  # (B, L, d)
        sequence = context_sequence(self.user_tokens(users), self.dropout(history), items > 0)
        if not last_only:
            return self.dropout(self.backbone(*sequence)[:, 1:])
        position = (items > 0).sum(1)  # (B,), after the token of the user
        return self.dropout(self.backbone(*sequence, position)[:, 0])

    def scores(self, states: Tensor, items: Tensor, table: Tensor) -> Tensor:
        """The exponent of Eq. (11), and the terms added to it: (B, n_items).

            W_o h_t + b_o + w_sasrec · sasrec + w_relations · relations + w_aspects · aspects

        states: h_t (B, d); items: (B, L), the histories; table: W_o (n_items, d), which holds the
        content term (1–6).
        """
        return self.weighted(self.score_terms(states, items, table))

    def score_terms(self, states: Tensor, items: Tensor, table: Tensor) -> dict[str, Tensor]:
        """The terms of `scores` by their names, (B, n_items) each, before they are weighted.
        SASRec and the relations are not in the paper. A component that is off adds 0."""
        return {
            "states": self.debiasing.scores(states, table) + self.item_bias,  # (11), (15)
            "sasrec": self.sasrec(items),
            "relations": self.relations(items),  # SLIST
            "aspects": self.aspects(states)[1],  # (20)
        }

    def weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """The term `states` plus Σ w · term over the others in `terms`, (B, n_items)."""
        total = terms["states"]
        for name, weight in self.weights.items():
            if name in terms and weight:
                total = total + weight * terms[name]
        return total

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The training loss of a batch of windows, a scalar: a mean over its targets, which are all
        positions that have a next item.

        The SASRec learns from every batch. Beside it the language model reads a share of them.
        """
        items, targets = interaction[self.ITEM_SEQ], interaction[self.POS_ITEM_ID]  # (B, L) each
        batch = BatchItems(self.loss, items, targets[targets > 0])  # the M items that it reads
        if "sasrec" not in self.components:
            return self.language_model_loss(interaction, batch)
        loss = self.sasrec.loss(items, targets, batch, self.excluded_items)
        if torch.rand(()) < self.language_model_share:
            loss = loss + self.language_model_loss(interaction, batch)
        return loss

    def language_model_loss(self, interaction: Any, batch: BatchItems) -> Tensor:
        """The paper's loss of a batch, a scalar.

        −log P of (11) with the strata of (15), weighted by 1 / e of (13, 14)
        + λ_fair · (L_adv of (17) + the excess of the gap of (18))                    (16)
        + weight · −log of the next item's aspects (19)
        """
        users, items = interaction[self.user_field], interaction[self.ITEM_SEQ]  # (B,), (B, L)
        targets, position = interaction[self.POS_ITEM_ID], interaction["position"]  # (B, L) each
        has_target = targets > 0
        targets = targets[has_target]  # (N,)
        table = self.item_table(batch.ids)  # (M, d): (1–6)
        entries = self.retrieved.before(position)  # (B, L, K): (7–10)
        states = self(users, batch.rows(items), table, entries)[has_target]  # (N, d): (12)
        users = users[:, None].expand_as(position)[has_target]  # (N,)
        rows = position[has_target]  # (N,), the targets' training rows: positions count from 1
        bias = batch.of(self.item_bias.masked_fill(self.excluded_items, -torch.inf))  # (M,)
        own = batch.rows(targets)  # (N,), the targets' rows of the table

        # (19) comes first: gradients are summed in the reverse order of the terms, and float sums
        # depend on the order.
        preference = self.aspects.loss(states, targets)  # (19)
        left, right = self.debiasing.factors(states, table, rows, batch.ids)  # (15), as a product
        weights = self.debiasing.target_weights(rows)  # (13, 14)
        recommendation = batch.loss(left, right, own, bias, weights)  # (11, 14)
        unfairness = self.debiasing.fairness_loss(
            left, right, bias, own, users, targets
        )  # (17, 18)
        return self.aspect_loss_weight * preference + fair_loss(  # (16)
            recommendation, unfairness, self.debiasing.fairness_weight
        )


# RecBole looks models up by the name of their class.
for _name, _components in VARIANTS.items():
    _attributes = {"default_components": _components, "__module__": __name__}
    globals()[_name] = type(_name, (EnhancedGenRec,), _attributes)
