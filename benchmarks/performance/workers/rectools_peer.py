"""Worker: RecTools' transformers, with the settings its documentation gives but for the size.

Full softmax loss, Adam 1e-3, batches of 128 users, a user's last 50 interactions, as published.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from protocol import serve
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from steps import Enough, StepClock

MODELS = {"BERT4Rec": BERT4RecModel, "SASRec": SASRecModel}


def train(
    model: str, data: str, sizes: dict[str, int], threads: int, seconds: float
) -> dict[str, Any]:
    """Train for `seconds` on the training interactions of the file `data`."""
    clock = StepClock(seconds)

    class Counting(TransformerLightningModule):
        def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
            clock.count(len(batch["y"]))
            return super().training_step(batch, batch_idx)

    peer = _model(model, sizes, threads, epochs=10**6, lightning_module_type=Counting)
    with contextlib.suppress(Enough):
        peer.fit(_dataset(np.load(data), "train"))
    epoch = [batch["y"] for batch in peer.data_preparator.get_dataloader_train()]
    rows = sum(len(targets) for targets in epoch)
    return clock.result(rows, sum(int((targets != 0).sum()) for targets in epoch))  # 0: no loss


def quality(
    model: str, data: str, sizes: dict[str, int], threads: int, epochs: int, seed: int
) -> dict[str, Any]:
    """Train for `epochs`, then recommend 10 unseen items to each test user.

    Answers the training seconds and each test user's target rank (0 = best, -1: not in the 10).
    """
    arrays = np.load(data)

    class Telling(TransformerLightningModule):
        def on_train_epoch_end(self) -> None:
            if (self.current_epoch + 1) % 50 == 0:
                print(f"  RecTools {model}: epoch {self.current_epoch + 1}", file=sys.stderr)

    seed_everything(seed)
    peer = _model(model, sizes, threads, epochs=epochs, lightning_module_type=Telling)
    started = time.perf_counter()
    peer.fit(_dataset(arrays, "train"))
    seconds = time.perf_counter() - started
    top = peer.recommend(arrays["users"], _dataset(arrays, "history"), k=10, filter_viewed=True)
    wanted = pd.DataFrame({Columns.User: arrays["users"], Columns.Item: arrays["targets"]})
    found = wanted.merge(top, how="left", on=[Columns.User, Columns.Item])
    ranks = (found[Columns.Rank] - 1).fillna(-1).astype(int)
    return {"seconds": seconds, "epochs": epochs, "seed": seed, "ranks": ranks.tolist()}


def _model(name: str, sizes: dict[str, int], threads: int, **options: Any) -> Any:
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    epochs = options.pop("epochs")

    def trainer() -> Trainer:  # RecTools' own default, held to the CPU
        return Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            min_epochs=epochs,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=False,
        )

    return MODELS[name](
        n_factors=sizes["hidden"],
        n_blocks=sizes["layers"],
        n_heads=sizes["heads"],
        session_max_len=sizes["length"],
        loss="softmax",
        lr=1e-3,
        batch_size=128,
        get_trainer_func=trainer,
        **options,
    )


def _dataset(arrays: Any, which: str) -> Dataset:
    """The interactions `<which>_users`, `<which>_items` (N,), given in exact order."""
    users, items = arrays[f"{which}_users"], arrays[f"{which}_items"]
    order = pd.to_datetime(np.arange(len(users)), unit="s")  # stands for the time, without ties
    columns = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0}
    return Dataset.construct(pd.DataFrame(columns | {Columns.Datetime: order}))


if __name__ == "__main__":
    serve({"train": train, "quality": quality}, ("rectools", "torch", "numpy"))
