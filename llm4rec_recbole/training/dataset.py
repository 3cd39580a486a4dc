"""RecBole data sets split in exact order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction

from llm4rec_recbole.components.adaptation.events import likes, mean_ratings
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.features import unread_item_columns
from llm4rec_recbole.data.held_out import Outcomes
from llm4rec_recbole.data.splits import PROTOCOLS, Log, exact_order
from llm4rec_recbole.machine import reused_memory
from llm4rec_recbole.training.process import note


class WindowDataset(SequentialDataset):
    """Whole histories, not one row for each prefix: for models with the attribute `batches`."""

    def data_augmentation(self) -> None:
        """Leave the interactions as they are, unless RecBole's own loaders read its rows."""
        if self.config["protocol"] == "recbole":
            super().data_augmentation()


def split_dataset(dataset: Any) -> list[Any]:
    """Split into training, validation and test as `config["protocol"]` says.

    Training interactions of windows come user by user, each user's in exact order. Others come in
    exact order (time, then file order) over all users; for a sequential model RecBole then makes
    its rows of prefixes. The validation and the test data set carry

        held_out        the items to rank
        outcomes        when these items were chosen, and whether their users liked them
        train_counts    (n_items,), the training interactions of each item
        train_users     how many users have training interactions

    `dataset.train_rows` are the rows of the training interactions, user by user.
    """
    with reused_memory():
        return _split_dataset(dataset)


def _split_dataset(dataset: Any) -> list[Any]:
    dataset.data_augmentation = lambda: None  # RecBole's rows of prefixes are made below
    dataset._change_feat_format()
    del dataset.data_augmentation
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    times = inter[dataset.time_field].numpy()
    split = PROTOCOLS[dataset.config["protocol"]](Log(users, items, times, dataset.item_num))
    held_out = [(split.valid, split.valid_rows), (split.test, split.test_rows)]
    rows = by_user = dataset.train_rows = split.train
    split_counts, shared = split.counts, {}
    del split  # its log's memory holds the training interactions
    if not isinstance(dataset, WindowDataset):
        rows = np.sort(rows)
        rows = rows[exact_order(times[rows])]
    elif len(held_out[0][0].items) == len(rows):  # all that trains is a history of validation
        valid = held_out[0][0]
        shared = {dataset.iid_field: valid.items, dataset.time_field: valid.times}
    chosen = torch.from_numpy(rows)
    columns = {
        name: torch.from_numpy(shared[name]) if name in shared else inter[name][chosen]
        for name in inter
    }
    train = dataset.copy(Interaction(columns))
    train.split_counts = split_counts
    rating = dataset.config["RATING_FIELD"]
    ratings = inter[rating].numpy() if rating in inter else None
    if ratings is not None:
        if rows is by_user:
            of_rows = [train.inter_feat[name].numpy() for name in (dataset.uid_field, rating)]
        else:
            of_rows = [users[by_user], ratings[by_user]]
        means = mean_ratings(of_rows[0], of_rows[1], dataset.user_num)
    counts = np.bincount(train.inter_feat[dataset.iid_field].numpy(), minlength=dataset.item_num)
    train_users = np.count_nonzero(np.bincount(train.inter_feat[dataset.uid_field].numpy()))
    if isinstance(train, SequentialDataset):
        train.data_augmentation()
    train._drop_unused_col()  # after all that reads the times
    phases = []
    for of_phase, own in held_out:
        liked = None if ratings is None else likes(ratings[own], means[users[own]])
        ids = {dataset.uid_field: of_phase.users, dataset.iid_field: of_phase.targets}
        phase = dataset.copy(Interaction({name: torch.from_numpy(of) for name, of in ids.items()}))
        phase.held_out, phase.outcomes = of_phase, Outcomes(times[own], liked)
        phase.train_counts, phase.train_users = counts, train_users
        phases.append(phase)
    return [train, *phases]


def note_items(config: Any, dataset: Any) -> None:
    """Print what the items' file has that the run does not use, or that no interaction has."""
    interacted = len(np.unique(np.asarray(dataset.inter_feat[dataset.iid_field])))
    if n_unused := dataset.item_num - 1 - interacted:
        message = f"{n_unused} of {dataset.item_num - 1} items have no interaction"
        hint = "--item_candidates=interacted leaves them out"
        note(config, f"{message}; they are candidates all the same ({hint})")
    if dataset.items_left_out:
        message = f"{dataset.items_left_out} items of the .item file have no interaction"
        note(config, f"{message} and are no candidates (--item_candidates=all keeps them)")
    if hasattr(config.model_class, "default_components"):  # it reads texts and categories
        files = DatasetFiles.of(config)
        if names := unread_item_columns(files.path("item"), files.file_format):
            message = f"{files.path('item')}: no model reads its columns {', '.join(names)}"
            hint = "texts are read from title and description, words for kinds from categories"
            note(config, f"{message} ({hint}; rename columns in the first line)")


def whole_histories(train: Any) -> Any:
    """RecBole's training rows of prefixes as the interactions that they are made of, user by user,
    each user's oldest first.

    A row holds its target's fields and, as lists, those of the items before it; a row with one item
    before it also gives the first interaction of its user.
    """
    inter, suffix = train.inter_feat, train.config["LIST_SUFFIX"]
    second = (inter[train.config["ITEM_LIST_LENGTH_FIELD"]] == 1).nonzero()[:, 0]
    users, fields = inter[train.uid_field], [name for name in inter if name + suffix in inter]
    columns = {train.uid_field: torch.cat([users[second], users])}
    for name in fields:
        columns[name] = torch.cat([inter[name + suffix][second, 0], inter[name]])
    order = torch.arange(len(columns[train.uid_field]))
    for name in (train.time_field, train.uid_field):  # by user, then by time
        order = order[torch.argsort(columns[name][order], stable=True)]
    return train.copy(Interaction({name: column[order] for name, column in columns.items()}))


def interactions_of(train: Any) -> Any:
    """RecBole's training data with one row for each interaction, whatever rows the model reads."""
    has_prefixes = train.iid_field + train.config["LIST_SUFFIX"] in train.inter_feat
    return whole_histories(train) if has_prefixes else train
