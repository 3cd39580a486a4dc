"""From a checkpoint to a model that is ready to score, with the histories it may know."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import OWN_PROTOCOLS
from llm4rec_recbole.errors import InputError


def newest_checkpoint(folder: str | Path, model: str, dataset: str) -> Path:
    """The checkpoint in `folder`, or below it, that a run of `model` on `dataset` wrote last.

    model: its name, or the name that its records go by (the option `method`). Raises InputError,
    with the command that makes one, when there is none.
    """
    from llm4rec_recbole.registry import models, nearest, variant

    files = Path(folder).rglob(f"*-{glob.escape(dataset)}-seed_*.safetensors")
    for path in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        if _written_by(path) == (model, dataset):
            return path
    if variant(model)[0] not in models():
        raise InputError(f"there is no model {model!r}{nearest(model, models())}")
    command = f"run_recbole --model={model} --dataset={dataset}"
    if Path(folder) != Path("work/checkpoints"):
        command += f" --checkpoint_dir={folder}"
    raise InputError(f"no checkpoint of {model} on {dataset} in {folder}; make one: {command}")


class InteractionLog(NamedTuple):
    """All that the data set holds, in the order of its file; internal ids."""

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
    log: InteractionLog

    @property
    def method(self) -> str:
        """The name that the run's record goes by."""
        return str(self.config["method"] or self.config["model"])

    def user_history(self, user: str) -> HeldOut:
        """One row: `user` (a raw token) with what the model may know of them when it is tested.

        For a test user that is the test's own history; anyone else's is their training
        interactions. The held-out item is an unseen one. Raises InputError for a user who is not in
        the data set, of whom nothing is known, or who has seen all there is.
        """
        number = _number(user, self.user_tokens, "user", self.config["dataset"])
        row = np.flatnonzero(self.test.users == number)[:1]
        if len(row):
            span = slice(*self.test.indptr[[row[0], row[0] + 1]])
            items, times = self.test.items[span], self.test.times[span]
        else:
            own = self.users == number
            items, times = self.items[own], self.times[own]
        if not len(items):
            raise InputError(
                f"{self.method} knows nothing of user {user!r}: no training interaction"
            )
        unseen = np.setdiff1d(np.arange(1, self.test.n_items), items)
        if not len(unseen):
            raise InputError(f"user {user!r} has seen every item: nothing is left to recommend")
        ends = np.array([0, len(items)])
        return HeldOut(np.array([number]), unseen[:1], ends, items, times, self.test.n_items)

    def item_number(self, item: str) -> int:
        """The internal id of `item` (a raw token). Raises InputError when it has none."""
        return _number(item, self.item_tokens, "item", self.config["dataset"])

    def model_history(self, history: np.ndarray) -> np.ndarray:
        """What of a history (S,), oldest first, the model reads: a sequence model its last
        MAX_ITEM_LIST_LENGTH items, any other all of it."""
        from recbole.utils import ModelType

        windowed = self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        return history[-self.config["MAX_ITEM_LIST_LENGTH"] :] if windowed else history


def _written_by(path: Path) -> tuple[str, str] | None:
    """Method and data set of the run that wrote a checkpoint, from its header; None for a file that
    is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            run = json.loads((file.metadata() or {})["tree"])["config"]
            return run["options"].get("method") or run["model"], run["dataset"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def restore(path: str | Path, adapted: bool = True) -> TrainedModel:
    """Make data and model again from the options in the checkpoint at `path`; load its weights. It
    then stands where the test found it: one that adapts has learned from the validation items; not
    `adapted`, it stands where training left it.

    Raises InputError for a file that is no checkpoint, that does not fit the data as they now are,
    or that is of RecBole's own protocol, which has no histories.
    """
    from llm4rec_recbole.training.run import load_trained

    experiment = load_trained(path)
    config, model, dataset = experiment.config, experiment.model, experiment.data.dataset
    if config["protocol"] not in OWN_PROTOCOLS:
        hint = f"train it with --protocol={' or --protocol='.join(OWN_PROTOCOLS)}"
        raise InputError("a model of RecBole's own protocol", file=path, hint=hint)
    inter = dataset.inter_feat  # all of it; splitting leaves it as tensors
    users, items, times = (
        inter[field].numpy() for field in (dataset.uid_field, dataset.iid_field, dataset.time_field)
    )
    rating = config["RATING_FIELD"]
    ratings = inter[rating].numpy() if rating in inter else None
    split = dataset.split
    if adapted and hasattr(model, "after_training"):  # as training/run.py does before the test
        model.after_training(split.valid)
    tokens = dataset.field2id_token
    return TrainedModel(
        path=Path(path),
        config=config,
        model=model.eval(),
        dataset=experiment.data.test.dataset,
        test=split.test,
        users=users[split.train],
        items=items[split.train],
        times=times[split.train],
        user_tokens=np.asarray(tokens[dataset.uid_field], dtype=str),
        item_tokens=np.asarray(tokens[dataset.iid_field], dtype=str),
        valid=split.valid,
        log=InteractionLog(users, items, times, ratings),
    )


def _number(token: str, tokens: np.ndarray, kind: str, dataset: str) -> int:
    found = np.flatnonzero(tokens[1:] == token)
    if not len(found):
        few = ", ".join(tokens[1:4])
        raise InputError(
            f"no {kind} {token!r} in {dataset}",
            hint=f"expected one of its {len(tokens) - 1} {kind} ids, such as {few}",
        )
    return int(found[0]) + 1
