"""GenRec's options. properties/model/GenRec.yaml holds its training settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llm4rec_recbole.options import Count, Options, Share, Size


class GenRecOptions(Options):
    """GenRec (Ji et al., ECIR 2024, arXiv 2307.00457)."""

    llm: str = Field(
        "SmolLM2-135M",
        description="Backbone: the packaged one, a folder, a hub name or scratch-<width>x<layers>.",
    )
    llm_layers: Size | None = Field(2, description="How many of its first layers; ~ is all.")
    llm_dtype: Literal["auto", "measured", "bfloat16", "float32"] = Field(
        "measured",
        description="auto is bfloat16 on GPUs and on CPUs with AMX, else float32; measured is the "
        "one that is faster on this machine.",
    )
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
    decoding: Literal["exhaustive", "beam", "unconstrained"] = Field(
        "exhaustive", description="How items are scored; unconstrained matches generated titles."
    )
    beam_width: Size = Field(20, description="Beams of beam and unconstrained decoding.")
    warmup: Share = Field(
        0.05, description="Share of all steps in which the learning rate rises; then it falls."
    )
