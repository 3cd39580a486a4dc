"""The baselines that differ from RecBole's: four item–item models, and SASRec.

RecBole's ItemKNN and EASE score a user from the training interactions. Under `loo` the sequence
models also see the validation item when they are tested. The models here see the same history.

    ItemKNN      x W          W = cosine similarities, k nearest       (Sarwar et al. 2001)
    EASE         x B          B = closed-form ridge, zero diagonal     (Steck 2019)
    RecencyEASE  (x · γ^age) B    the last item has age 0, the one before age 1, …
    SLIST        (x · γ^age) B    B also predicts the next item   (Choi et al. 2021)
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.general_recommender.ease import EASE as RecBoleEASE
from recbole.model.general_recommender.itemknn import ItemKNN as RecBoleItemKNN
from recbole.model.sequential_recommender.sasrec import SASRec as RecBoleSASRec
from torch import Tensor
from torch.nn import functional

from llm4rec_recbole.components.adaptation.adapter import AdaptationSettings
from llm4rec_recbole.components.adaptation.prequential import (
    AdaptationSummary,
    no_event_times,
    prequential_rows,
)
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.components.item_texts import ItemTexts, NoTexts
from llm4rec_recbole.components.sasrec_term import PreNormEncoder
from llm4rec_recbole.components.training_features import item_text_vectors, order_of_histories
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.losses import catalogue_loss, full_cross_entropy

ONLINE_BATCH = 16  # validation interactions of one update, as in EnhancedGenRec


def history_matrix(held_out: HeldOut, rows: np.ndarray, decay: float = 1.0) -> sp.csr_matrix:
    """The histories of `rows`, (B, n_items) float32, items weighted by decay^age; the latest has
    age 0."""
    histories = held_out.subset(rows)
    lengths = np.diff(histories.indptr)  # (B,)
    age = np.repeat(histories.indptr[1:], lengths) - 1 - np.arange(len(histories.items))
    weights = np.float32(decay) ** age.astype(np.float32)
    return sp.csr_matrix(
        (weights, histories.items, histories.indptr), shape=(len(rows), held_out.n_items)
    )


class ItemKNN(RecBoleItemKNN):
    """RecBole's ItemKNN; `w` are its similarities, (n_items, n_items) sparse."""

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32."""
        return (history_matrix(held_out, rows) @ self.w).toarray()


class EASE(RecBoleEASE):
    """RecBole's EASE; `item_similarity` is B, (n_items, n_items) dense."""

    decay = 1.0

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32."""
        return np.asarray(history_matrix(held_out, rows, self.decay) @ self.item_similarity)


class RecencyEASE(EASE):
    """EASE, with a history's items weighted by decay^age in the scores. B is the same as in EASE.

    Its published relatives are SLIST (Choi et al., WWW 2021) and TALE (Park et al., WSDM 2025).
    Option `decay` in (0, 1] is γ.
    """

    reads_order = True  # so it needs times, whatever the protocol (data/dataset_files.py)

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.decay = float(config["decay"])


class SLIST(RecencyEASE):
    """A linear model that predicts a user's items and the next item (components/item_relations.py).

    Options: `decay` is γ, `next_weight` β, `reg_weight` λ. The published model predicts all later
    items, with decaying weights; here it is the next one, as the rankings ask for.
    """

    adaptation_summary: AdaptationSummary | None = None  # what it learned online

    def __init__(self, config: Any, dataset: Any) -> None:
        GeneralRecommender.__init__(self, config, dataset)  # without the fit of EASE
        self.dummy_param = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainer needs one
        self.decay = float(config["decay"])
        rows = order_of_histories(dataset)
        users, items = (
            dataset.inter_feat[field].numpy()[rows]
            for field in (dataset.uid_field, dataset.iid_field)
        )
        self.relations = RelationTerm(
            users,
            items,
            dataset.item_num,
            dataset.item_num,
            config["reg_weight"],
            self.decay,
            config["next_weight"],
        )
        self.relations.fit()
        self.item_similarity = self.relations.item_item_weights.cpu().numpy()
        self.interaction_matrix = dataset.inter_matrix(form="csr").astype(np.float32)
        self.other_parameter_name = ["interaction_matrix", "item_similarity"]
        if config["learns_online"]:
            self.learn_online(config)

    def learn_online(self, config: Any) -> None:
        """Let the validation interactions enter B, each before the rankings that come after it.
        Raises InputError for data without times of interactions."""
        reason = no_event_times(config)
        if reason:
            raise InputError(f"learns_online: {reason}")
        self.adaptation = AdaptationSettings(batch=ONLINE_BATCH)
        self.prequential_rows = partial(
            prequential_rows, self, gradients=False, relations=self.relations
        )

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32."""
        self.item_similarity = self.relations.item_item_weights.cpu().numpy()
        return super().score_histories(held_out, rows)

    def learn_relations(self, valid: HeldOut, outcomes: Outcomes) -> None:
        """Learn from all validation items, as during the test; for a restored model."""
        if not hasattr(self, "adaptation"):
            return
        for _ in self.prequential_rows(valid, outcomes, np.zeros(0)):
            raise AssertionError("there is nothing to rank")


# SASRec with a loss at every position (Kang & McAuley 2018; arXiv 2309.07602).
#
# RecBole's class with another loss: RecBole trains the last position of each row only. With the
# default options the network is RecBole's, which normalises after each block. With `norm: pre` it
# is
#
#     x = dropout(e[items] + p)
#     x = x + dropout(attention(norm(x)))     x = x + dropout(W₂ gelu(W₁ norm(x)))     in each layer
#     states = norm(x)        scores = states eᵀ

ROWS_TOGETHER = 64  # rows of one forward pass over sorted histories


class SASRec(RecBoleSASRec):
    """Scores are dot products of the last position's state with the item embeddings."""

    batches = "causal"  # training/batches.py
    schedule = "warmup_cosine"  # training/trainer.py; the option `warmup` is ~ by default

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.loss = catalogue_loss(config, dataset)
        self.pre_norm: bool = config["norm"] == "pre"
        if self.pre_norm:
            self.trm_encoder = PreNormEncoder(
                self.n_layers,
                self.n_heads,
                self.hidden_size,
                self.inner_size,
                self.hidden_dropout_prob,
                self.attn_dropout_prob,
            )
        self.texts: ItemTexts | NoTexts = NoTexts()
        if config["item_text_std"]:
            texts = item_text_vectors(config, dataset)
            if not texts.any():
                raise InputError("item_text_std: no item has a text", hint="--item_text_std=0")
            self.texts = ItemTexts(texts, self.hidden_size, config["item_text_std"])

    def item_table(self) -> Tensor:
        """The item vectors e, (n_items, d)."""
        return self.texts.add_to(self.item_embedding.weight)

    def states(self, item_seq: Tensor, table: Tensor) -> Tensor:
        """The state at every position, (B, L, d). item_seq: (B, L), padded on the right; table: the
        item vectors (n_items, d)."""
        positions = torch.arange(item_seq.shape[1], device=item_seq.device)
        embedded = functional.embedding(item_seq, table, padding_idx=0)  # (B, L, d)
        embedded = embedded + self.position_embedding(positions)
        if self.pre_norm:
            return self.LayerNorm(self.trm_encoder(self.dropout(embedded)))
        embedded = self.dropout(self.LayerNorm(embedded))
        return self.trm_encoder(embedded, self.get_attention_mask(item_seq))[-1]

    def forward(self, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
        """The state after the last item, (B, d); item_seq: (B, L); item_seq_len: (B,)."""
        if not self.pre_norm:
            return super().forward(item_seq, item_seq_len)
        table = self.item_table()
        states = table.new_empty(len(item_seq), self.hidden_size)
        # Rows of similar length go together: short histories then cost a fraction.
        for rows in item_seq_len.argsort(stable=True).split(ROWS_TOGETHER):
            last = item_seq_len[rows] - 1  # (rows,)
            items = item_seq[rows, : int(last[-1]) + 1]
            row = torch.arange(len(rows), device=last.device)
            states[rows] = self.states(items, table)[row, last]
        return states

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The mean loss over the catalogue, at all positions that have a next item."""
        items, targets = interaction[self.ITEM_SEQ], interaction[self.POS_ITEM_ID]  # (B, L) each
        if targets.dim() == 1:  # RecBole's own rows, under `protocol: recbole`
            if self.loss is full_cross_entropy:
                return super().calculate_loss(interaction)
            states = self(items, interaction[self.ITEM_SEQ_LEN])  # (B, d)
            return self.loss(states, self.item_table(), targets)
        has_target, table = targets > 0, self.item_table()
        states = self.states(items, table)[has_target]  # (targets, d)
        return self.loss(states, table, targets[has_target])

    def predict(self, interaction: Any) -> Tensor:
        """Scores (B,) of one item for each history."""
        states = self(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])  # (B, d)
        return (states * self.item_table()[interaction[self.ITEM_ID]]).sum(1)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores (B, n_items) of all items."""
        states = self(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])  # (B, d)
        return states @ self.item_table().T
