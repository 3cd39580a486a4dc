"""SumOfReferences: the scores of several trained models, added with weights chosen on validation.

    score(u, i) = Σ_r w_r log P_r(i | u),  w_1 = 1,  w_2 … chosen by the validation NDCG@10

log P_r is the log-softmax of the scores of reference r. Its normaliser is the same for all items of
a user and changes no rank, so the scores themselves are added.

References without randomness (EASE, RecencyEASE, SLIST, ItemKNN, Pop) are trained here, in
seconds. Every other reference is read from the newest checkpoint of its own finished run with the
same data set, protocol and seed. `--model=SASRec+RecencyEASE` names the sum of these two.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from torch import Tensor, nn

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.score_weights import best_weight
from llm4rec_recbole.option_readers import model_type, read_options
from llm4rec_recbole.registry import resolve_model, variant
from llm4rec_recbole.training.checkpoint_files import newest_first, written_by
from llm4rec_recbole.training.experiment import Experiment, load_trained, train

_OWN = {"model", "dataset", "method", "references", "reference_options", "reference_weights",
        "reference_checkpoints"}  # fmt: skip

Score = Callable[[HeldOut, np.ndarray], np.ndarray]


class SumOfReferences(GeneralRecommender):
    """See the head of this file."""

    type = ModelType.TRADITIONAL
    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.unused = nn.Parameter(torch.zeros(1))  # RecBole's trainer needs a parameter
        names = list(config["references"])
        experiments = [_reference(name, config) for name in names]
        tokens = dataset.field2id_token[self.ITEM_ID]
        for name, experiment in zip(names, experiments):
            if not np.array_equal(experiment.data.dataset.field2id_token[self.ITEM_ID], tokens):
                raise InputError(f"the checkpoint of {name} is of other items than this run")
        self.references = nn.ModuleList([experiment.model for experiment in experiments])
        self.scores_of = [_score_function(experiment) for experiment in experiments]
        learning = [e.model for e in experiments if hasattr(e.model, "prequential_rows")]
        if len(learning) == 1:  # two would have to learn in one order
            self.learning_reference = learning[0]
            self.prequential_rows = learning[0].prequential_rows
            self.learn_relations = learning[0].learn_relations
        self.names = names
        given = config["reference_weights"]
        self.chooses = given is None
        self.weights = [float(w) for w in given] if given else [1.0] * len(names)

    @property
    def adaptation_summary(self) -> Any:
        """What a reference learned between the rankings; None where none learns."""
        return getattr(getattr(self, "learning_reference", None), "adaptation_summary", None)

    @property
    def chosen_on_validation(self) -> dict[str, float]:
        """The weights of the references, for the run record."""
        return dict(zip(self.names, self.weights)) if self.chooses else {}

    def before_training(self, held_out: HeldOut) -> None:
        """Choose the weights by the NDCG@10 of the validation items."""
        if self.chooses:
            self.weights = choose_weights(self.scores_of, held_out)

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float64 from the histories of `rows`."""
        parts = [score(held_out, rows) for score in self.scores_of]
        return weighted_sum(parts, self.weights)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Nothing is learned from batches."""
        return self.unused.sum()

    def other_parameter(self) -> dict[str, Any]:
        """What a checkpoint holds beside the references' weights."""
        return {"weights": self.weights}

    def load_other_parameter(self, values: dict[str, Any]) -> None:
        """Restore what `other_parameter` returned."""
        self.weights = [float(w) for w in values["weights"]]


def weighted_sum(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Σ w_r s_r of the references' scores (B, n_items), float64."""
    total = np.zeros(parts[0].shape)
    for part, weight in zip(parts, weights):
        if weight:  # -inf stands for an excluded item; 0 × -inf is NaN
            total += weight * np.asarray(part, dtype=np.float64)
    return total


def choose_weights(scores_of: Sequence[Score], held_out: HeldOut) -> list[float]:
    """The weights with the best NDCG@10 of the held-out items, chosen one after another; the first
    is 1. Of equal weights the smallest is chosen."""
    weights = [1.0]
    for number in range(1, len(scores_of)):

        def parts(rows: np.ndarray, number: int = number) -> tuple[np.ndarray, np.ndarray]:
            scores = [np.asarray(score(held_out, rows)) for score in scores_of[: number + 1]]
            return weighted_sum(scores[:-1], weights), scores[-1].astype(np.float64)

        weights.append(best_weight(parts, held_out))
    return weights


def _score_function(experiment: Experiment) -> Score:
    model, config, dataset = experiment.model, experiment.config, experiment.data.test.dataset
    return lambda held_out, rows: scorer(model, config, held_out, dataset)(rows)


def _reference(name: str, config: Any) -> Experiment:
    """A trained reference: restored from its run's checkpoint, or trained here in closed form.
    Raises InputError where there is no checkpoint, or no such model."""
    level = logging.getLogger().level
    try:
        if model_type(resolve_model(variant(name)[0])) == "TRADITIONAL":
            read = read_options(name, config["protocol"])
            given = {
                option: value
                for option, value in config.external_config_dict.items()
                if option in read and option not in _OWN
            }
            given |= (config["reference_options"] or {}).get(name, {})
            return train(name, config["dataset"], options=given, save=False)
        return load_trained(_checkpoint(name, config))
    finally:
        logging.getLogger().setLevel(level)  # which a quiet run inside this one raises


def _checkpoint(name: str, config: Any) -> Path:
    """The newest checkpoint of a finished run of `name` with this data set, protocol and seed."""
    folder = Path(config["reference_checkpoints"] or config["checkpoint_dir"])
    dataset, seed = config["dataset"], config["seed"]
    files = folder.rglob(f"*-{glob.escape(dataset)}-seed_{seed}-*.safetensors")
    for path, header in newest_first(files):
        run = written_by(header)
        same = (run.method, run.dataset, run.protocol) == (name, dataset, config["protocol"])
        if header.finished and same:
            return path
    command = f"run_recbole --model={name} --dataset={dataset} --seed={seed}"
    raise InputError(
        f"no checkpoint of {name} on {dataset} with seed {seed} in {folder}; make one: {command}",
        hint="or name its folder with --reference_checkpoints",
    )
