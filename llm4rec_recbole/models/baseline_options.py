"""Options of this project's baselines that RecBole does not have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llm4rec_recbole.options import Options
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


class SASRecOptions(LossOptions, BatchOptions, ItemInitOptions, ScheduleOptions):
    """SASRec's options beside RecBole's."""

    norm: Literal["pre", "post"] = Field(
        "post", description="Normalise before each block, or after it as RecBole does."
    )


class BERT4RecOptions(LossOptions, BatchOptions, ItemInitOptions, ScheduleOptions):
    """BERT4Rec's options beside RecBole's."""
