"""RecBole data sets split in exact order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction

from llm4rec_recbole.components.adaptation.events import likes, mean_ratings
from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.exact_order import exact_order
from llm4rec_recbole.data.features import unread_item_columns
from llm4rec_recbole.data.held_out import Outcomes, RatedOutcomes
from llm4rec_recbole.data.lazy_columns import LazyInteraction
from llm4rec_recbole.data.splits import PROTOCOLS, Log, Split
from llm4rec_recbole.machine import reused_memory
from llm4rec_recbole.training.process import note
from llm4rec_recbole.training.windows import Histories


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
    its rows of prefixes. Columns are made when they are first read. The training data for windows
    carry `histories`. The validation and the test data set carry

        held_out        the items to rank
        outcomes        when these items were chosen, and whether their users liked them
        train_counts    (n_items,), the training interactions of each item
        train_users     how many users have training interactions

    `dataset.exact_split` has the rows of each part.
    """
    with reused_memory():
        return _split_dataset(dataset)


def _split_dataset(dataset: Any) -> list[Any]:
    dataset.data_augmentation = lambda: None  # RecBole's rows of prefixes are made below
    dataset._change_feat_format()
    del dataset.data_augmentation
    log = getattr(dataset, "stored_log", None) or _log_of(dataset)
    split = dataset.exact_split = PROTOCOLS[dataset.config["protocol"]](log)
    train = dataset.copy(_training_interactions(dataset, split))
    means = functools.cache(lambda: _mean_ratings(dataset, split))
    trained = split.train_stops > log.starts  # (users,) whether a user has training interactions
    if isinstance(train, WindowDataset):
        train.histories = Histories(
            log.items, log.starts[trained], split.train_stops[trained], log.users[trained]
        )
    elif isinstance(train, SequentialDataset):
        train.data_augmentation()
    train._drop_unused_col()  # after all that reads the times
    phases = []
    for held_out, targets in ((split.valid, split.valid_at), (split.test, split.test_at)):
        ids = {dataset.uid_field: held_out.users, dataset.iid_field: held_out.targets}
        phase = dataset.copy(Interaction({name: torch.from_numpy(of) for name, of in ids.items()}))
        phase.held_out = held_out
        times = log.times[targets].astype(log.time_type)
        if dataset.config["RATING_FIELD"] in dataset.inter_feat:
            liked = functools.partial(_liked, dataset, log.rows[targets], held_out.users, means)
            phase.outcomes = RatedOutcomes(times, liked)
        else:
            phase.outcomes = Outcomes(times)
        phase.train_counts, phase.train_users = split.train_counts, int(trained.sum())
        phases.append(phase)
    return [train, *phases]


def _log_of(dataset: Any) -> Log:
    fields = (dataset.uid_field, dataset.iid_field, dataset.time_field)
    users, items, times = (dataset.inter_feat[name].numpy() for name in fields)
    return Log(users, items, times, dataset.item_num)


def _training_interactions(dataset: Any, split: Split) -> LazyInteraction:
    """The training rows of all columns: user by user for windows, else in exact order."""
    inter, log = dataset.inter_feat, split.log
    by_user = isinstance(dataset, WindowDataset)

    @functools.cache
    def rows() -> torch.Tensor:
        if by_user:
            return torch.from_numpy(split.train)
        in_file_order = np.sort(split.train)
        times = inter[dataset.time_field].numpy()[in_file_order]
        return torch.from_numpy(in_file_order[exact_order(times)])

    def of_log(values: Callable[[], np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(values())

    columns: dict[str, Callable[[], torch.Tensor]] = {
        name: functools.partial(lambda name: inter[name][rows()], name) for name in inter
    }
    if by_user:  # the log has three of the columns in this order
        lengths = split.train_stops - log.starts
        in_log: dict[str, Callable[[], np.ndarray]] = {
            dataset.uid_field: lambda: np.repeat(log.users.astype(np.int64), lengths),
            dataset.iid_field: lambda: log.items[split.in_training].astype(np.int64),
            dataset.time_field: lambda: log.times[split.in_training].astype(log.time_type),
        }
        columns |= {name: functools.partial(of_log, values) for name, values in in_log.items()}
    return LazyInteraction(columns, int(np.sum(split.train_stops - log.starts)))


def _mean_ratings(dataset: Any, split: Split) -> np.ndarray:
    """Each user's mean rating in training, (n_users,) float64."""
    ratings = dataset.inter_feat[dataset.config["RATING_FIELD"]].numpy()[split.train]
    users = np.repeat(split.log.users, split.train_stops - split.log.starts)
    return mean_ratings(users, ratings, dataset.user_num)


def _liked(
    dataset: Any, rows: np.ndarray, users: np.ndarray, means: Callable[[], np.ndarray]
) -> np.ndarray:
    """Whether the ratings of `rows` (U,) are likes of their users (U,), (U,) bool."""
    ratings = dataset.inter_feat[dataset.config["RATING_FIELD"]].numpy()[rows]
    liked: np.ndarray = likes(ratings, means()[users])
    return liked


def note_items(config: Any, dataset: Any) -> None:
    """Print what the items' file has that the run does not use, or that no interaction has."""
    if (log := getattr(dataset, "stored_log", None)) is not None:
        counts = log.item_counts
    else:
        counts = np.bincount(np.asarray(dataset.inter_feat[dataset.iid_field]))
    interacted = np.count_nonzero(counts)
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

    A row holds the fields of its target and, as lists, the fields of the items before it. A row
    with one item before it also gives the first interaction of its user.
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
