"""GenRec's options. properties/model/GenRec.yaml holds its training settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llm4rec_recbole.options import Count, Size
from llm4rec_recbole.training.options import DecodingOptions, LanguageModelOptions, WarmupOptions


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
