"""P5's options. properties/model/P5.yaml holds its training settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llm4rec_recbole.options import Probability, Share, Size
from llm4rec_recbole.training.options import DecodingOptions, WarmupOptions


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
