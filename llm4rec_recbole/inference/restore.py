"""From a checkpoint to a model that is ready to score, with the histories of its users."""

from __future__ import annotations

import glob
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llm4rec_recbole import checkpoints
from llm4rec_recbole.data.held_out import HeldOut, Outcomes
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.checkpoint_files import (
    load_adapted_weights,
    newest_first,
    save_adapted_weights,
    written_by,
)


def newest_checkpoint(folder: str | Path, model: str, dataset: str) -> Path:
    """The newest checkpoint in `folder`, or below it, of a run of `model` on `dataset`. Finished
    runs come first: a training that was killed leaves a newer checkpoint, half trained.

    model: as in `run_recbole`, or the name in its run records (the option `method`). A user's own
    class also stands for its runs under another name, if none has its name. Raises InputError, with
    the command that trains the model, when there is no checkpoint.
    """
    from llm4rec_recbole.errors import did_you_mean
    from llm4rec_recbole.registry import models, resolve_model, variant

    requested, resolved = model, resolve_model(model)
    model = resolved.__name__ if isinstance(resolved, type) else model
    files = Path(folder).rglob(f"*-{glob.escape(dataset)}-seed_*.safetensors")
    runs = [
        (path, header.finished, run)
        for path, header in newest_first(files)
        if (run := written_by(header)).dataset == dataset and run.method
    ]
    of_model = [entry for entry in runs if entry[2].method == model]
    if not of_model and isinstance(resolved, type):  # of a user's own class, under another method
        of_model = [entry for entry in runs if entry[2].model == model]
    if of_model:
        return next((path for path, finished, _ in of_model if finished), of_model[0][0])
    if variant(model)[0] not in models() and not isinstance(resolved, type):
        raise InputError(f"there is no model {model!r}{did_you_mean(model, models())}")
    command = f"run_recbole --model={requested} --dataset={dataset}"
    if Path(folder) != Path("work/checkpoints"):
        command += f" --checkpoint_dir={folder}"
    others = sorted({run.method for *_, run in runs})
    alternatives = f"; there are {', '.join(others)}" if others else ""
    raise InputError(
        f"no checkpoint of {model} on {dataset} in {folder}{alternatives}; make one: {command}"
    )


class InteractionLog(NamedTuple):
    """All interactions of the data set, in the order of its file; internal ids."""

    users: np.ndarray  # (N,) int64
    items: np.ndarray  # (N,) int64
    times: np.ndarray  # (N,), in seconds
    ratings: np.ndarray | None  # (N,) float, None where the data set has none


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model and its data. Ids are internal, tokens raw; row 0 of both is the pad."""

    path: Path
    config: Any
    model: Any
    dataset: Any  # the data set of the test phase: features of users and items
    test: HeldOut
    users: np.ndarray  # (N,) int64, the training interactions, user by user …
    items: np.ndarray  # (N,) int64
    times: np.ndarray  # (N,), in seconds
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str
    valid: HeldOut
    outcomes: Outcomes  # of the validation items
    log: InteractionLog

    @property
    def method(self) -> str:
        """The method's name in the run's record."""
        return str(self.config["method"] or self.config["model"])

    def user_history(self, user: str) -> HeldOut:
        """One row: `user` (a raw token) with the history that the model may read, and an unseen
        item as held out.

        A test user has the history of the test, any other user the training interactions. Raises
        InputError for a user who is not in the data set, who has no history, or who has seen every
        item.
        """
        number = self.user_number(user)
        row = np.flatnonzero(self.test.users == number)[:1]
        if len(row):
            items, times = self.test.history(row[0])
        else:
            own = self.users == number
            items, times = self.items[own], self.times[own]
        if not len(items):
            raise InputError(
                f"{self.method} cannot rank for user {user!r}: no training interaction"
            )
        unseen = np.setdiff1d(np.arange(1, self.test.n_items), items)
        if not len(unseen):
            raise InputError(f"user {user!r} has seen every item: nothing is left to recommend")
        ends = np.array([0, len(items)])
        return HeldOut(np.array([number]), unseen[:1], ends, items, times, self.test.n_items)

    def user_number(self, user: str) -> int:
        """Return the internal id of `user` (a raw token). Raises InputError for an unknown one."""
        return _number(user, self.user_tokens, "user", self.config["dataset"])

    def item_number(self, item: str) -> int:
        """Return the internal id of `item` (a raw token). Raises InputError for an unknown one."""
        return _number(item, self.item_tokens, "item", self.config["dataset"])

    def model_history(self, history: np.ndarray) -> np.ndarray:
        """The items of a history (S,), oldest first, that the model reads: the last
        MAX_ITEM_LIST_LENGTH for a sequence model, all for any other."""
        from recbole.utils import ModelType

        windowed = self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        return history[-self.config["MAX_ITEM_LIST_LENGTH"] :] if windowed else history


def restore(
    path: str | Path, adapted: bool = True, user: str | None = None, item: str | None = None
) -> TrainedModel:
    """Build data and model from the options in the checkpoint at `path`, and load its weights.

    A model that adapts has learned from all validation items, unless `adapted` is False. Raises
    InputError for a file that is no checkpoint, that does not fit the present data, or whose
    protocol is RecBole's own; before the model is built, for a `user` or an `item` (raw tokens)
    that the data set lacks.
    """
    from llm4rec_recbole.training.experiment import load_trained

    def check(dataset: Any) -> None:
        for token, field, kind in (
            (user, dataset.uid_field, "user"),
            (item, dataset.iid_field, "item"),
        ):
            if token is not None:
                tokens = np.asarray(dataset.field2id_token[field], dtype=str)
                _number(token, tokens, kind, dataset.dataset_name)

    experiment = load_trained(path, check)
    config, model, dataset = experiment.config, experiment.model, experiment.data.dataset
    if config["protocol"] not in PROTOCOLS:
        hint = f"train it with --protocol={' or --protocol='.join(PROTOCOLS)}"
        raise InputError("a model of RecBole's own protocol", file=path, hint=hint)
    inter = dataset.inter_feat  # all of it; splitting leaves it as tensors
    users, items, times = (
        inter[field].numpy() for field in (dataset.uid_field, dataset.iid_field, dataset.time_field)
    )
    rating = config["RATING_FIELD"]
    ratings = inter[rating].numpy() if rating in inter else None
    train, data = dataset.exact_split.train, experiment.data
    tokens = dataset.field2id_token
    trained = TrainedModel(
        path=Path(path),
        config=config,
        model=model.eval(),
        dataset=data.test.dataset,
        test=data.test.held_out,
        users=users[train],
        items=items[train],
        times=times[train],
        user_tokens=np.asarray(tokens[dataset.uid_field], dtype=str),
        item_tokens=np.asarray(tokens[dataset.iid_field], dtype=str),
        valid=data.valid.held_out,
        outcomes=data.valid.outcomes,
        log=InteractionLog(users, items, times, ratings),
    )
    if adapted:
        _adapt_to_validation(trained)
    return trained


def _adapt_to_validation(trained: TrainedModel) -> None:
    """Adapt the model, in place, to all validation items: load the adapted weights of the finished
    run, or learn again what the run learned between its rankings."""
    model = trained.model
    if not hasattr(model, "prequential_rows"):
        return
    if load_adapted_weights(model, trained.path):
        if hasattr(model, "learn_relations"):
            model.learn_relations(trained.valid, trained.outcomes)
    else:
        for _ in model.prequential_rows(trained.valid, trained.outcomes, np.zeros(0)):
            raise AssertionError("there is nothing to rank")
        if checkpoints.read_header(trained.path).finished:
            with suppress(OSError):  # the folder may be read only
                save_adapted_weights(model, trained.path, trained.test)


def _number(token: str, tokens: np.ndarray, kind: str, dataset: str) -> int:
    rows = np.flatnonzero(tokens[1:] == token)
    if not len(rows):
        examples = ", ".join(tokens[1:4])
        raise InputError(
            f"no {kind} {token!r} in {dataset}",
            hint=f"expected one of its {len(tokens) - 1} {kind} ids, such as {examples}",
        )
    return int(rows[0]) + 1
