"""Where RecBole finds what this project adds: models, data sets, trainers, metrics.

RecBole looks up classes by name. A model of this project names its batches and its trainer in
class attributes, so RecBole finds both from the model alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.errors import InputError, missing_package
from llm4rec_recbole.recbole_compat.import_hook import patch, replace, wrap
from llm4rec_recbole.registry import METRICS, MODELS, load, resolve_model

if TYPE_CHECKING:
    import torch


@patch("recbole.utils.utils", upstream="none: RecBole finds models only in its own package")
def find_models(module: ModuleType) -> None:
    """Look up a model in MODELS first, then among the user's own, then among RecBole's. RecBole
    ends in a folder whose models need lightgbm and xgboost, and imports both there."""
    recbole_get_model = module.get_model

    def get_model(model_name: str) -> type:
        if model_name in MODELS:
            return load(MODELS, model_name)
        own = resolve_model(model_name)
        if isinstance(own, type):
            return own
        try:
            return recbole_get_model(model_name)
        except ModuleNotFoundError as error:
            if model_name.lower() in ("lightgbm", "xgboost"):
                raise missing_package(error.name or "", model_name) from error
            raise InputError(f"there is no model {model_name}") from error

    replace(module, "get_model", get_model)


@patch("recbole.data.dataset", upstream="none: RecBole finds data sets only in its own package")
def find_datasets(module: ModuleType) -> None:
    """RecBole looks for `<Model>Dataset`: windows for a model with the attribute `batches`."""

    def choose(model: type) -> type | None:
        from llm4rec_recbole.training.dataset import WindowDataset

        return WindowDataset if getattr(model, "batches", None) else None

    _choose_by_model(module, "Dataset", choose)


@patch("recbole.trainer", upstream="none: RecBole finds trainers only in its own package")
def find_trainers(module: ModuleType) -> None:
    """RecBole looks for `<Model>Trainer`: a model names its own by the attribute `schedule`."""

    def choose(model: type) -> type | None:
        from llm4rec_recbole.training.trainer import TRAINERS

        return TRAINERS.get(getattr(model, "schedule", ""))

    _choose_by_model(module, "Trainer", choose)


def _choose_by_model(
    module: ModuleType, ending: str, choose: Callable[[type], type | None]
) -> None:
    """Make `module.<Model><ending>` what `choose` returns for the model class (PEP 562)."""

    def __getattr__(name: str) -> Any:
        from recbole.utils import get_model

        model = name.removesuffix(ending)
        if model and model != name:
            with suppress(InputError):
                if chosen := choose(get_model(model)):
                    return chosen
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    vars(module)["__getattr__"] = __getattr__


@patch("recbole.evaluator.register", upstream="none: RecBole lists metrics once, at import")
def add_metrics(module: ModuleType) -> None:
    """Add METRICS to the four tables from which RecBole looks up a metric.

    A program that imports metrics.py first imports RecBole's tables from within it. The classes of
    metrics.py do not exist yet at that point, and its last line calls this function again.
    """
    own = sys.modules.get(METRICS["Coverage"])
    if own is not None and not hasattr(own, "Fairness"):
        return
    for name in METRICS:
        metric, key = load(METRICS, name), name.lower()
        module.metrics_dict[key] = metric
        module.metric_information[key] = metric.metric_need
        module.metric_types[key] = metric.metric_type
        if metric.smaller:
            module.smaller_metrics.append(key)


@patch("recbole.evaluator.collector", upstream="none: RecBole's metrics know ids and counts only")
def collect_features(module: ModuleType) -> None:
    """Collect, for the metrics that name them in `metric_need`:

    data.item_categories  (n_items, C) bool, C = 0 where the data set has none
    data.user_groups      (n_users, A) int64, one column an attribute, -1 = not known
    data.item_novelty     (n_items,) float64, from the training interactions
    rec.users             (U,) int64, the user of each row of `rec.items` and `rec.topk`
    """
    import torch

    @wrap(module.Collector)
    def data_collect(data_collect: Any, self: Any, train_data: Any) -> None:
        data_collect(self, train_data)
        needs = {name for name in _DATA if self.register.need(name)}
        if needs:
            data = _data(self.config, train_data.dataset)
            for name in needs:
                self.data_struct.set(name, data[name])

    @wrap(module.Collector)
    def eval_batch_collect(
        eval_batch_collect: Any,
        self: Any,
        scores: torch.Tensor,
        interaction: Any,
        rows: Any,
        targets: Any,
    ) -> None:
        eval_batch_collect(self, scores, interaction, rows, targets)
        if self.register.need("rec.users"):
            users = interaction[self.config["USER_ID_FIELD"]]
            if len(users) != len(scores):  # sampled ranking: one entry for each candidate
                users = torch.unique_consecutive(users)
            self.data_struct.update_tensor("rec.users", users)

    @wrap(module.Collector)
    def get_data_struct(get_data_struct: Any, self: Any) -> Any:
        struct = get_data_struct(self)
        if "rec.users" in self.data_struct:
            del self.data_struct["rec.users"]
        return struct


_DATA = ("data.item_categories", "data.user_groups", "data.item_novelty")


def _data(config: Any, dataset: Any) -> dict[str, torch.Tensor]:
    import numpy as np
    import torch

    from llm4rec_recbole.evaluation.beyond_accuracy import features
    from llm4rec_recbole.evaluation.metrics import item_novelty

    categories, groups = features(config, dataset)
    columns = np.array([*groups.values()], dtype=np.int64).reshape(len(groups), dataset.user_num)
    users = dataset.inter_feat[dataset.uid_field].numpy().astype(np.int64)
    items = dataset.inter_feat[dataset.iid_field].numpy()
    pairs = np.unique(users * dataset.item_num + items)  # a user counts once for each item
    counts = np.bincount(pairs % dataset.item_num, minlength=dataset.item_num)  # (n_items,)
    return {
        "data.item_categories": torch.from_numpy(categories),
        "data.user_groups": torch.from_numpy(columns.T.copy()),
        "data.item_novelty": torch.from_numpy(item_novelty(counts, len(np.unique(users)))),
    }


# Models of RecBole on the main path (training/run.py): LightGBM, XGBoost, BERT4Rec.


@patch("recbole.data.dataset.decisiontree_dataset", upstream="none: RecBole's files misspell it")
def default_token_threshold(module: ModuleType) -> None:
    """Encode columns of at most 10,000 tokens where `token_num_threshold` is not given."""

    @wrap(module.DecisionTreeDataset)
    def _convert_token_to_hash(convert: Any, self: Any) -> None:
        if self.config["token_num_threshold"] is None:
            self.config["token_num_threshold"] = 10_000
        convert(self)


@patch("recbole.trainer.trainer", upstream="none: DecisionTreeTrainer.fit has no callback_fn")
def report_validations_of_trees(module: ModuleType) -> None:
    """Let `fit` take `callback_fn` as RecBole's other trainers do, and end with the best trees."""

    @wrap(module.DecisionTreeTrainer)
    def fit(
        fit: Any,
        self: Any,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Any = None,
    ) -> Any:
        self.callback_fn, self.validated_epochs = callback_fn, 0
        best = fit(self, train_data, valid_data, verbose, saved, show_progress)
        if saved:
            self.evaluate(valid_data, load_best_model=True)  # nothing else loads the best trees
        return best

    @wrap(module.DecisionTreeTrainer)
    def _valid_epoch(validate: Any, self: Any, valid_data: Any) -> Any:
        score, result = validate(self, valid_data)
        self.validated_epochs += self.eval_step
        if self.callback_fn is not None:
            self.callback_fn(self.validated_epochs - 1, score)
        return score, result


@patch("recbole.model.sequential_recommender.bert4rec", upstream="none")
def train_bert4rec_on_windows(module: ModuleType) -> None:
    """Train BERT4Rec on windows with the loss that the option `loss` names, at the masked positions
    only. RecBole computes the logits of every slot of every row, used or not, and holds them all.
    """
    module.BERT4Rec.batches = "cloze"  # training/batches.py
    module.BERT4Rec.schedule = "warmup_cosine"  # training/trainer.py

    @wrap(module.BERT4Rec)
    def __init__(init: Any, self: Any, config: Any, dataset: Any) -> None:
        from llm4rec_recbole.training.losses import catalogue_loss

        init(self, config, dataset)
        self.loss = catalogue_loss(config, dataset)

    @wrap(module.BERT4Rec)
    def calculate_loss(loss_as_recbole: Any, self: Any, interaction: Any) -> Any:
        if self.loss_type != "CE":
            return loss_as_recbole(self, interaction)
        positions = interaction[self.MASK_INDEX]  # (B, M), 0 where unused
        rows, slots = (positions > 0).nonzero(as_tuple=True)  # (targets,) each
        states = self.forward(interaction[self.MASK_ITEM_SEQ])  # (B, L, d)
        return self.loss(
            states[rows, positions[rows, slots]],
            self.item_embedding.weight[: self.n_items],
            interaction[self.POS_ITEMS][rows, slots],
            self.output_bias,
        )
