"""RecBole data sets split in exact order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import exact_order, leave_one_out, temporal_split


class WindowDataset(SequentialDataset):
    """Whole histories, not one row per prefix: for the models that train on windows."""

    def data_augmentation(self) -> None:
        """Keep the interactions as they are, unless RecBole's own loaders will want its rows."""
        if self.config["protocol"] == "recbole":
            super().data_augmentation()


# Where the registry looks for each model's.
BERT4RecDataset = SASRecDataset = EnhancedGenRecDataset = WindowDataset
GenRecFusionDataset = GenRecRetrievalDataset = GenRecDebiasDataset = WindowDataset
GenRecExplainDataset = GenRecAdaptDataset = WindowDataset
GenRecDataset = P5Dataset = WindowDataset


def split_dataset(dataset: Any) -> list[Any]:
    """Split into training, validation and test as `config["protocol"]` says.

    The training data set holds its interactions user by user, each user's in exact order, for the
    models that train on windows; for RecBole's own in exact order (time, then file order) over all
    users, or, for its sequential models, as its rows made of them. The other two carry `held_out`
    (what is to be ranked), `train_counts` (n_items,), how many users each item is trained on with,
    and `train_users`, how many users are trained on.
    """
    _to_tensors(dataset)
    dataset._drop_unused_col()
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    times = inter[dataset.time_field].numpy()
    split = {"loo": leave_one_out, "temporal": temporal_split}[dataset.config["protocol"]](
        users, items, times, dataset.item_num
    )
    rows = split.train
    if not isinstance(dataset, WindowDataset):
        rows = np.sort(rows)
        rows = rows[exact_order(times[rows])]
    chosen = torch.from_numpy(rows)
    train = dataset.copy(Interaction({name: inter[name][chosen] for name in inter}))
    train.split_counts = split.counts
    counts = np.bincount(train.inter_feat[dataset.iid_field].numpy(), minlength=dataset.item_num)
    train_users = np.count_nonzero(np.bincount(train.inter_feat[dataset.uid_field].numpy()))
    if isinstance(train, SequentialDataset):
        train.data_augmentation()
    phases = [_phase(dataset, held_out) for held_out in (split.valid, split.test)]
    for phase in phases:
        phase.train_counts = counts
        phase.train_users = train_users
    return [train, *phases]


def _to_tensors(dataset: Any) -> None:
    """Turn RecBole's tables into tensors; its rows of prefixes come after splitting."""
    if isinstance(dataset, SequentialDataset):
        dataset.data_augmentation = lambda: None
        dataset._change_feat_format()
        del dataset.data_augmentation
    else:
        dataset._change_feat_format()


def _phase(dataset: Any, held_out: HeldOut) -> Any:
    targets = Interaction(
        {
            dataset.uid_field: torch.from_numpy(held_out.users),
            dataset.iid_field: torch.from_numpy(held_out.targets),
        }
    )
    phase = dataset.copy(targets)
    phase.held_out = held_out
    return phase
