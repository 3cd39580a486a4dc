"""EnhancedGenRec's options. properties/model/EnhancedGenRec.yaml holds its training settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llm4rec_recbole.options import Count, Positive, Probability, Share, Size, Weight
from llm4rec_recbole.training.options import (
    BatchOptions,
    ItemInitOptions,
    LanguageModelOptions,
    LossOptions,
    WarmupOptions,
)

Component = Literal["fusion", "retrieval", "debiasing", "explanation", "adaptation", "sasrec"]


class EnhancedGenRecOptions(
    LanguageModelOptions, WarmupOptions, LossOptions, BatchOptions, ItemInitOptions
):
    """Numbers in parentheses are equations of the paper."""

    components: list[Component] | None = Field(
        None, description="Components that take part; ~ is all (or those of the variant), [] none."
    )
    # Language model.
    lora_rank: Count = Field(
        16, description="Rank of LoRA on every linear map of the backbone; 0 freezes the backbone."
    )
    hidden_size: Size = Field(64, description="Width d of item vectors, user token and states.")
    hidden_dropout_prob: Probability = Field(0.2, description="Dropout on tokens and states.")
    loss_type: Literal["CE"] = Field("CE", description="Cross-entropy over the whole catalogue.")
    # The SASRec beside the language model.
    sasrec_dropout: Probability = Field(0.5, description="Dropout of the component sasrec.")
    sasrec_weight: Weight | None = Field(
        None, description="Weight of sasrec in the ranking; ~ is chosen on validation."
    )
    sasrec_text_std: Weight = Field(
        0.0,
        description="Root mean square of the texts' trained part of sasrec's item vectors before "
        "the first step; 0 leaves texts out. It needs fusion.",
    )
    language_model_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.25,
        description="Share of the batches that the language model reads, drawn at random, where "
        "the component sasrec reads all.",
    )
    # Item vectors.
    item_init: Literal["random", "spectral", "text"] = Field(
        "spectral",
        description="First item vectors: random, from co-occurrence in training, or from texts.",
    )
    cold_items_as_negatives: bool = Field(
        True, description="Whether items without training interactions are negatives of the loss."
    )
    # Fusion (1-6).
    content_init_weight: Weight = Field(
        0.1, description="Initial weight of an item's content in its vector; it is learned."
    )
    text_tokens: Size = Field(2, description="Tokens into which a text's vector is read (3).")
    # Retrieval (7-12).
    relation_reg: Positive = Field(500.0, description="Ridge penalty of the item relations.")
    relation_next_weight: Weight = Field(
        1.0, description="Weight of the error of the next item in the fit of the item relations."
    )
    max_relation_items: Count = Field(
        15000, description="Items with relations: the most frequent ones. The matrix is dense."
    )
    relation_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="Weight of an item of the history relative to the item after it."
    )
    relation_weight: Weight | None = Field(
        None, description="Weight of the relations in the ranking; ~ is chosen on validation."
    )
    retrieved_entries: Count = Field(
        4, description="Entries of the repository that become tokens (8, 12)."
    )
    retrieved_source: Literal["query", "random"] = Field(
        "query",
        description="Retrieve by the user's query (7-10), or draw entries at random: a null.",
    )
    retrieved_reviews: Count = Field(
        2, description="Earliest reviews of an item that enter the repository (8); 0 is none."
    )
    retrieval_text_share: Share = Field(
        0.05, description="Share of the texts in the similarity, beside co-occurrence (7)."
    )
    retrieval_similarity: Weight = Field(0.6, description="Weight λ1 of the similarity (9).")
    retrieval_recency: Weight = Field(0.2, description="Weight λ2 of the recency (9).")
    retrieval_credibility: Weight = Field(0.2, description="Weight λ3 of the credibility (9).")
    retrieval_sigma_days: Positive = Field(
        90.0, description="Days after which an entry counts as old, σ (10)."
    )
    # Debiasing (13-18).
    popularity_strata: Size = Field(5, description="Strata of item popularity at the time (15).")
    backdoor_weight: Share = Field(
        0.1, description="Share of the back-door adjusted score in the ranking."
    )
    ips_clip_quantile: Share = Field(
        0.95, description="Quantile below which propensities are clipped (14)."
    )
    fairness_weight: Weight = Field(1.0, description="Weight λ of the fairness terms (16-18).")
    fairness_groups: Literal["gender", "age", "occupation"] | None = Field(
        None, description="Groups of users; ~ is the first that is recorded, else item categories."
    )
    # Explanation (19-25).
    aspect_loss_weight: Weight = Field(0.1, description="Weight of the aspect loss (19).")
    aspect_score_weight: Weight | None = Field(
        None, description="Weight of the aspect score (20); ~ is chosen on validation."
    )
    # Adaptation (26-33).
    adaptation_rate: Weight = Field(0.00001, description="Step size of an update (28).")
    adaptation_momentum: Probability = Field(0.9, description="Momentum of the updates (26).")
    adaptation_uncertainty_decay: Weight = Field(
        1.0, description="How strongly uncertainty shrinks an update (28)."
    )
    adaptation_update_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Share of each tensor's gradient entries, the largest, that move (30)."
    )
    adaptation_ewc: Weight = Field(1.0, description="Weight of elastic weight consolidation (33).")
    adaptation_batch: Size = Field(
        16, description="Validation items that are learned in one update; 1 is one update each."
    )
    adaptation_relations: bool = Field(
        True,
        description="Whether the item relations also learn from what adaptation passes, as if they "
        "had been fitted with it.",
    )
    adaptation_feedback: Literal["explicit", "implicit"] | None = Field(
        None,
        description="What is learned between the rankings of the test: explicit makes an item less "
        "likely that its user rated below the own mean (31), implicit reads no ratings; ~ is the "
        "one with the better replay of the validation items, or nothing where neither gains.",
    )


#: Component → the options that are not read without it.
OPTIONS_OF: dict[str, tuple[str, ...]] = {
    "fusion": ("content_init_weight", "text_tokens", "sasrec_text_std"),
    "retrieval": (
        *("relation_reg", "relation_next_weight", "relation_decay"),
        *("max_relation_items", "relation_weight"),
        *("retrieved_entries", "retrieved_source", "retrieved_reviews", "retrieval_text_share"),
        *("retrieval_similarity", "retrieval_recency", "retrieval_credibility"),
        "retrieval_sigma_days",
    ),
    "debiasing": (
        *("popularity_strata", "backdoor_weight", "ips_clip_quantile"),
        *("fairness_weight", "fairness_groups"),
    ),
    "explanation": ("aspect_loss_weight", "aspect_score_weight"),
    "adaptation": (
        *("adaptation_rate", "adaptation_momentum", "adaptation_uncertainty_decay"),
        *("adaptation_update_fraction", "adaptation_ewc", "adaptation_batch"),
        *("adaptation_relations", "adaptation_feedback"),
    ),
    "sasrec": ("sasrec_dropout", "sasrec_weight", "sasrec_text_std", "language_model_share"),
}
