"""Options of the baselines and of the sum of references that RecBole does not have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from llm4rec_recbole.options import Options, Weight
from llm4rec_recbole.training.options import (
    BatchOptions,
    ItemInitOptions,
    LossOptions,
    ScheduleOptions,
)


class RecencyEASEOptions(Options):
    """EASE on a history whose weight decays with age."""

    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="An item of age a has the weight decay^a; the latest item has age 0."
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
