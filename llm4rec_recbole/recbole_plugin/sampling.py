"""Negative sampling in training: this project's distributions, and counts of training rows only.

RecBole names its two distributions three times: where the configuration is checked, where a loader
sets up its sampling, and in the sampler itself. The distributions that this project adds are in
components/debiasing/negative_sampling.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.components.debiasing.negative_sampling import DISTRIBUTIONS
from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import patch, replace, wrap

RECBOLE_DISTRIBUTIONS = ("uniform", "popularity", "none")


@patch("recbole.config.configurator", upstream="none: the two names are hard-coded")
def accept_distributions(module: ModuleType) -> None:
    """Accept this project's distributions; for an unknown name, list all."""

    @wrap(module.Config)
    def _set_train_neg_sample_args(check: Any, self: Any) -> None:
        options = self.final_config_dict.get("train_neg_sample_args")
        name = options.get("distribution") if isinstance(options, dict) else None
        if name == "none":  # RecBole writes it so in its own log, and refuses it
            self.final_config_dict["train_neg_sample_args"] = None
        if name not in DISTRIBUTIONS:
            if name not in (*RECBOLE_DISTRIBUTIONS, None, "None"):
                names = ", ".join((*RECBOLE_DISTRIBUTIONS, *DISTRIBUTIONS))
                raise InputError(f"there is no distribution {name!r}", hint=f"one of {names}")
            check(self)


@patch("recbole.data.dataloader.abstract_dataloader", upstream="none: same")
def set_up_loaders(module: ModuleType) -> None:
    """Set up a loader as for RecBole's uniform sampling: only the sampler differs."""

    @wrap(module.NegSampleDataLoader)
    def _set_neg_sample_args(
        set_up: Any,
        self: Any,
        config: Any,
        dataset: Any,
        dl_format: Any,
        neg_sample_args: dict[str, Any],
    ) -> None:
        as_recbole = neg_sample_args
        if neg_sample_args["distribution"] in DISTRIBUTIONS:
            as_recbole = neg_sample_args | {"distribution": "uniform"}
        set_up(self, config, dataset, dl_format, as_recbole)
        self.neg_sample_args = neg_sample_args


@patch("recbole.data.utils", upstream="none: popularity is counted in the whole data set")
def sample_from_training(module: ModuleType) -> None:
    """Give training a sampler that has seen the training interactions only.

    RecBole's distribution `popularity` counts the validation and test items too, under any
    protocol. Validation and test have RecBole's samplers under RecBole's protocol. Under this
    project's protocols they have none: held-out items are ranked.
    """
    create = module.create_samplers

    def create_samplers(config: Any, dataset: Any, built_datasets: list[Any]) -> tuple:
        options, is_ours = config["train_neg_sample_args"], config["protocol"] in PROTOCOLS
        train = valid = test = None
        if not is_ours:
            train, valid, test = create(config, dataset, built_datasets)
        name = options["distribution"]
        if name in DISTRIBUTIONS:
            train = _own_sampler(built_datasets[0], options)
        elif name != "none" and (is_ours or name == "popularity"):
            train = _recbole_sampler(built_datasets[0], config)
        return train, valid, test

    replace(module, "create_samplers", create_samplers)


def _recbole_sampler(train: Any, config: Any) -> Any:
    import torch
    from recbole.data.interaction import Interaction
    from recbole.sampler import RepeatableSampler, Sampler

    options, repeatable = config["train_neg_sample_args"], config["repeatable"]
    if train.iid_field + config["LIST_SUFFIX"] in train.inter_feat:  # of a sequential model
        users, items = map(torch.as_tensor, training_pairs(train))
        train = train.copy(Interaction({train.uid_field: users, train.iid_field: items}))
    kind = RepeatableSampler if repeatable else Sampler
    sampler = kind(["train"], train, options["distribution"], options["alpha"])
    if options["distribution"] == "popularity" and not repeatable:
        longest = max(len(items) for items in sampler.used_ids["train"])
        if longest >= len(sampler.prob):  # RecBole would draw for ever
            hint = "train_neg_sample_args.distribution: uniform draws from all items"
            message = "a user has every item of the training data: nothing is left to draw"
            raise InputError(message, hint=hint)
    return sampler.set_phase("train")


def _own_sampler(train: Any, options: dict[str, Any]) -> Any:
    from llm4rec_recbole.components.debiasing.negative_sampling import (
        PropensitySampler,
        make_sampler,
    )
    from llm4rec_recbole.components.debiasing.propensity import ObservedPairs

    seen = ObservedPairs(*training_pairs(train), train.user_num, train.item_num)
    sampler = make_sampler(seen, options)
    if isinstance(sampler, PropensitySampler) and sampler.model.calibration:
        calibration = sampler.model.calibration
        train.logger.info(
            f"Propensities: {calibration.observed_rate:.4g} of the held-out pairs are observed, "
            f"{calibration.predicted_rate:.4g} predicted; expected calibration error "
            f"{calibration.error:.2g}, skill {calibration.skill:.2g}"
        )
    return sampler


def training_pairs(train: Any) -> tuple[Any, Any]:
    """Users (N,) and items (N,) of a training data set, with the first item of each history: for a
    sequential model it is no row's target, but the whole history of the second item."""
    import numpy as np

    inter = train.inter_feat
    users, items = inter[train.uid_field].numpy(), inter[train.iid_field].numpy()
    histories = train.iid_field + train.config["LIST_SUFFIX"]
    if histories not in inter:
        return users, items
    second = (inter[train.config["ITEM_LIST_LENGTH_FIELD"]] == 1).numpy()
    opening = inter[histories].numpy()[second, 0]
    return np.concatenate([users, users[second]]), np.concatenate([items, opening])


@patch("recbole.sampler.sampler", upstream="none: same")
def uniform_entities(module: ModuleType) -> None:
    """Draw a knowledge graph's entities uniformly when the items' distribution is ours."""

    @wrap(module.KGSampler)
    def set_distribution(as_recbole: Any, self: Any, distribution: str) -> None:
        as_recbole(self, "uniform" if distribution in DISTRIBUTIONS else distribution)
