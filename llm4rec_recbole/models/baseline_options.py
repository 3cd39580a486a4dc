"""Options of this project's baselines that RecBole does not have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llm4rec_recbole.options import Options


class RecencyEASEOptions(Options):
    """EASE on a history whose weight decays with age."""

    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="An item of age a has the weight decay^a; the latest item has age 0."
    )
