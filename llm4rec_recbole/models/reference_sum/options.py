"""SumOfReferences' options."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from llm4rec_recbole.options import Options, Weight


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
