"""Times training by its optimizer steps, the same way for every library that trains with torch."""

from __future__ import annotations

import time
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook


class Enough(Exception):
    """Raised out of the training loop when it has been timed for long enough."""


class StepClock:
    """Counts what is trained on from the end of the first optimizer step, which warms up.

    `seconds` of timing end the training by raising Enough; None lets it run to its own end. The
    time between steps counts too: that is where batches are put together.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.limit = seconds
        self.steps = self.rows = 0
        self.started = self.last = 0.0
        self.hook = register_optimizer_step_post_hook(self._after_step)

    def count(self, rows: int) -> None:
        """Add one batch of `rows` sequences."""
        self.rows += rows

    def _after_step(self, *unused: Any) -> None:
        self.last = time.perf_counter()
        if not self.started:
            self.started, self.rows = self.last, 0
            return
        self.steps += 1
        if self.limit is not None and self.last - self.started >= self.limit:
            raise Enough

    def result(self, rows_per_epoch: int, targets_per_epoch: int) -> dict[str, Any]:
        """End the timing; what it makes of an epoch of so many rows and targets.

        Targets are counted over a whole epoch, without training, because a few batches may not be
        typical. Stock RecBole's BERT4Rec masks either many items or one in all rows of a batch.
        """
        self.hook.remove()
        seconds = self.last - self.started
        seconds_per_epoch = seconds / self.rows * rows_per_epoch
        return {
            "steps": self.steps,
            "seconds": seconds,
            "rows": self.rows,
            "rows_per_second": self.rows / seconds,
            "targets_per_second": targets_per_epoch / seconds_per_epoch,
            "rows_per_epoch": rows_per_epoch,
            "targets_per_epoch": targets_per_epoch,
            "seconds_per_epoch": seconds_per_epoch,
        }
