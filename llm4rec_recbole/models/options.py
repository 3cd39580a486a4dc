"""Options of the baselines, GenRec, P5 and the sum of references that RecBole does not have.

properties/model/ holds the models' training settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from llm4rec_recbole.options import Count, Options, Probability, Share, Size, Weight
from llm4rec_recbole.training.options import (
    BatchOptions,
    DecodingOptions,
    ItemInitOptions,
    LanguageModelOptions,
    LossOptions,
    ScheduleOptions,
    WarmupOptions,
)


class RecencyEASEOptions(Options):
    """EASE on a history whose weight decays with age."""

    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="An item of age a has the weight decay^a; the latest item has age 0."
    )


class SLISTOptions(RecencyEASEOptions):
    """SLIST: EASE that also predicts the next item."""

    next_weight: Weight = Field(
        1.0, description="Weight β of the error of the next item, against that of all items."
    )
    learns_online: bool = Field(
        False,
        description="Between the rankings of the test, fit again with the validation interactions "
        "so far: the null of adaptation. For data with times of interactions.",
    )


class SASRecOptions(LossOptions, BatchOptions, ItemInitOptions, ScheduleOptions):
    """SASRec's options beside RecBole's."""

    norm: Literal["pre", "post"] = Field(
        "post", description="Normalise before each block, or after it as RecBole does."
    )
    item_text_std: Weight = Field(
        0.0,
        description="Root mean square of the texts' trained part of the item vectors before the "
        "first step; 0 leaves texts out. For `norm: pre`.",
    )


class BERT4RecOptions(LossOptions, BatchOptions, ItemInitOptions, ScheduleOptions):
    """BERT4Rec's options beside RecBole's."""


class SumOfReferencesOptions(Options):
    """A weighted sum of the scores of trained models."""

    references: Annotated[list[str], Field(min_length=2)] = Field(
        ["SASRec", "RecencyEASE"], description="The models whose scores are added."
    )
    reference_options: dict[str, dict[str, Any]] = Field(
        {}, description="Options of references without randomness, by model; they are trained here."
    )
    reference_checkpoints: str | None = Field(
        None, description="Folder of the other references' checkpoints; ~ is checkpoint_dir."
    )
    reference_weights: list[Weight] | None = Field(
        None, description="Weights of the references; ~ chooses them on the validation items."
    )


class GenRecOptions(LanguageModelOptions, DecodingOptions, WarmupOptions):
    """GenRec (Ji et al., ECIR 2024, arXiv 2307.00457)."""

    lora_rank: Count = Field(
        16, description="Rank of LoRA on every linear map of the layers; 0 trains all weights."
    )
    prompt: str = Field(
        "What one person chose, one after another:", description="Text before the titles."
    )
    max_title_tokens: Size = Field(12, description="A longer title is cut to this length.")
    max_prompt_tokens: Size = Field(
        512, description="Longest prompt. The oldest titles of a longer history are left out."
    )
    softmax_over: Literal["catalogue", "vocabulary"] = Field(
        "catalogue", description="Softmax over the continuations of titles, or over all tokens."
    )


class P5Options(DecodingOptions, WarmupOptions):
    """P5 (Geng et al., RecSys 2022; OpenP5, Xu et al., SIGIR 2024)."""

    t5: str = Field("scratch", description="scratch, or a T5's folder or hub name.")
    hidden_size: Size = Field(64, description="Width of the model, from scratch.")
    inner_size: Size = Field(256, description="Width of the feed-forward layers, from scratch.")
    n_layers: Size = Field(2, description="Layers of encoder and of decoder, from scratch.")
    n_heads: Size = Field(4, description="Attention heads, from scratch.")
    hidden_dropout_prob: Probability = Field(
        0.1, description="Dropout on embeddings and layer outputs, from scratch."
    )
    attn_dropout_prob: Probability = Field(
        0.0, description="Dropout on attention weights, from scratch."
    )
    item_indexing: Literal["collaborative", "sequential", "random"] = Field(
        "collaborative", description="How item ids are made, from training interactions alone."
    )
    id_clusters: Size = Field(20, description="Clusters into which a large cluster is divided.")
    max_cluster_items: Size = Field(100, description="Items in a cluster that is not divided.")
    id_tokens: Size = Field(2000, description="Id tokens; they are reused once all are taken.")
    task_weights: dict[str, Share] = Field(
        {"sequential": 1.0, "direct": 0.2, "rating": 0.2, "explanation": 0.2},
        description="Share of the batches that trains each task.",
    )
    targets_per_prompt: Size = Field(
        8, description="Next items that answer a prompt in training; P5's own objective has 1."
    )
    evaluation_family: Literal["sequential", "direct"] = Field(
        "sequential", description="Prompts of the evaluation; direct has no history."
    )
    evaluation_prompt: Literal["seen", "unseen"] = Field(
        "seen", description="unseen is a template that never trained."
    )
    REVIEW_FIELD: str = Field(
        "review", description="Column of reviews, if load_col reads one; else reviews.parquet."
    )
