"""Sampling: the distributions of `sampling/`, for every model that draws negatives in training.

RecBole names its two distributions in three places: where the configuration is checked, where a
loader sets its sampling up, and in the sampler itself.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.components.debiasing.negative_sampling import DISTRIBUTIONS
from llm4rec_recbole.data.splits import OWN_PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import patch, replace

OF_RECBOLE = ("uniform", "popularity", "none")


@patch("recbole.config.configurator", upstream="none: the two names are hard-coded")
def known_distributions(module: ModuleType) -> None:
    """Accept this project's distributions, and name all when one is unknown."""
    check = module.Config._set_train_neg_sample_args

    def set_train_neg_sample_args(self: Any) -> None:
        options = self.final_config_dict.get("train_neg_sample_args")
        name = options.get("distribution") if isinstance(options, dict) else None
        if name not in DISTRIBUTIONS:
            if name not in (*OF_RECBOLE, None, "None"):
                known = ", ".join((*OF_RECBOLE, *DISTRIBUTIONS))
                raise InputError(f"there is no distribution {name!r}", hint=f"one of {known}")
            return check(self)
        number = options["sample_num"]
        if not isinstance(number, int) or number < 1:
            raise InputError(f"sample_num must be a whole number above 0, not {number!r}")

    module.Config._set_train_neg_sample_args = set_train_neg_sample_args


@patch("recbole.data.dataloader.abstract_dataloader", upstream="none: same")
def loaders_that_sample(module: ModuleType) -> None:
    """Set a loader up as for RecBole's own sampling: only the sampler differs."""
    set_up = module.NegSampleDataLoader._set_neg_sample_args

    def set_neg_sample_args(
        self: Any, config: Any, dataset: Any, dl_format: Any, neg_sample_args: dict[str, Any]
    ) -> None:
        known = neg_sample_args
        if neg_sample_args["distribution"] in DISTRIBUTIONS:
            known = neg_sample_args | {"distribution": "uniform"}
        set_up(self, config, dataset, dl_format, known)
        self.neg_sample_args = neg_sample_args

    module.NegSampleDataLoader._set_neg_sample_args = set_neg_sample_args


@patch("recbole.data.utils", upstream="none: same")
def own_samplers(module: ModuleType) -> None:
    """Give training the sampler asked for. Validation and test keep RecBole's under its own
    protocol, and have none under ours, which rank by held-out items (RecBole would collect what
    each user has seen, again).

    Its strata, its propensities and the items it rejects come from the training interactions, for
    sequential models too: RecBole's own sampler for those counts popularity in the whole data set.
    """
    create, make = module.create_samplers, module._create_sampler

    def create_samplers(config: Any, dataset: Any, built_datasets: list[Any]) -> tuple:
        options = config["train_neg_sample_args"]
        if config["protocol"] in OWN_PROTOCOLS:
            kind, alpha = options["distribution"], options["alpha"]
            train = make(dataset, built_datasets, kind, config["repeatable"], alpha)
            train, valid, test = train.set_phase("train") if train else None, None, None
        else:
            train, valid, test = create(config, dataset, built_datasets)
        if options["distribution"] in DISTRIBUTIONS:
            train = _sampler(built_datasets[0], options)
        return train, valid, test

    replace(module, "create_samplers", create_samplers)


def _sampler(train: Any, options: dict[str, Any]) -> Any:
    from llm4rec_recbole.components.debiasing.negative_sampling import (
        PropensitySampler,
        make_sampler,
    )
    from llm4rec_recbole.components.debiasing.observed_pairs import ObservedPairs

    seen = ObservedPairs(*training_pairs(train), train.user_num, train.item_num)
    sampler = make_sampler(seen, options)
    if isinstance(sampler, PropensitySampler) and sampler.model.calibration:
        measured = sampler.model.calibration
        train.logger.info(
            f"Propensities: {measured.observed_rate:.4g} of the held-out pairs are observed, "
            f"{measured.predicted_rate:.4g} predicted; expected calibration error "
            f"{measured.error:.2g}, skill {measured.skill:.2g}"
        )
    return sampler


def training_pairs(train: Any) -> tuple[Any, Any]:
    """Users (N,) and items (N,) of a training data set, the items that open a history included.

    A sequential model's rows are targets, each with the items before it; the first item of a user
    is no target, but is the whole history of the second.
    """
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
    as_recbole = module.KGSampler.set_distribution

    def set_distribution(self: Any, distribution: str) -> None:
        as_recbole(self, "uniform" if distribution in DISTRIBUTIONS else distribution)

    module.KGSampler.set_distribution = set_distribution
