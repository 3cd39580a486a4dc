"""Worker: RecTools' transformers, with the settings its documentation gives but for the size.

Full softmax loss, Adam 1e-3, batches of 128 users, a user's last 50 interactions, as published.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import warnings
from collections.abc import Callable
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


def curve(model: str, data: str, options: dict[str, Any], looks: list[float]) -> dict[str, Any]:
    """Train with RecTools' names of options; NDCG@10 of the held-out items at each look.

    looks: CPU seconds of training, ascending; the last one ends the training. They count from
    before the model is made, without the looks.
    """
    arrays = np.load(data)
    points: list[dict[str, float]] = []
    looking = 0.0

    class Looking(TransformerLightningModule):
        steps = 0

        def on_train_batch_end(self, *unused: Any) -> None:
            nonlocal looking
            self.steps += 1
            began = time.process_time()
            spent = began - started - looking
            if spent < looks[len(points)]:
                return
            peer.is_fitted = True
            valid = _ndcg(peer, dataset, arrays)
            self.torch_model.train()
            points.append({"steps": self.steps, "cpu_seconds": spent, "valid": valid})
            print(f"  RecTools {model}: {points[-1]}", file=sys.stderr, flush=True)
            looking += time.process_time() - began
            if len(points) == len(looks):
                raise Enough

    torch.set_num_threads(1)
    _be_quiet()
    seed_everything(0)
    started = time.process_time()
    peer = MODELS[model](
        get_trainer_func=_trainer(10**6), lightning_module_type=Looking, verbose=0, **options
    )
    dataset = _dataset(arrays, "train")
    with contextlib.suppress(Enough):
        peer.fit(dataset)
    steps_per_epoch = len(peer.data_preparator.get_dataloader_train())
    return {"curve": points, "steps_per_epoch": steps_per_epoch}


def _ndcg(peer: Any, dataset: Dataset, arrays: Any, k: int = 10) -> float:
    """NDCG@k of the items `targets` (U,) among those that `users` (U,) have not seen."""
    top = peer.recommend(arrays["users"], dataset, k=k, filter_viewed=True)
    targets = pd.DataFrame({Columns.User: arrays["users"], Columns.Item: arrays["targets"]})
    ranks = targets.merge(top, on=[Columns.User, Columns.Item])[Columns.Rank]  # from 1
    return float((1 / np.log2(ranks + 1)).sum() / len(targets))


def _be_quiet() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def _trainer(epochs: int) -> Callable[[], Trainer]:
    """RecTools' own default, held to the CPU."""
    return lambda: Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        min_epochs=epochs,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )


def _model(name: str, sizes: dict[str, int], threads: int, **options: Any) -> Any:
    torch.set_num_threads(threads)
    _be_quiet()
    epochs = options.pop("epochs")
    return MODELS[name](
        n_factors=sizes["hidden"],
        n_blocks=sizes["layers"],
        n_heads=sizes["heads"],
        session_max_len=sizes["length"],
        loss="softmax",
        lr=1e-3,
        batch_size=128,
        get_trainer_func=_trainer(epochs),
        **options,
    )


def _dataset(arrays: Any, which: str) -> Dataset:
    """The interactions `<which>_users`, `<which>_items` (N,), given in exact order."""
    users, items = arrays[f"{which}_users"], arrays[f"{which}_items"]
    order = pd.to_datetime(np.arange(len(users)), unit="s")  # stands for the time, without ties
    columns = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0}
    return Dataset.construct(pd.DataFrame(columns | {Columns.Datetime: order}))


if __name__ == "__main__":
    serve({"train": train, "quality": quality, "curve": curve}, ("rectools", "torch", "numpy"))
