"""The protocols `loo` and `temporal`: exact-order splits, window training, one-pass ranking.

With `protocol: recbole`, RecBole splits, loads and evaluates as it always does. The ranking itself
needs no patch here: recbole_compat's `Trainer.evaluate` lets HeldOutLoader rank.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import patch, replace, wrap


@patch("recbole.config.configurator", upstream="none: the path is hard-coded")
def read_property_files(module: ModuleType) -> None:
    """Lay this project's property files over RecBole's own defaults. Refuse an option that the
    protocol ignores and a value out of its range, where every Config is made."""
    from llm4rec_recbole.config import check_protocol, defaults_for
    from llm4rec_recbole.options import plain
    from llm4rec_recbole.training.checks import check_option_values

    @wrap(module.Config)
    def _load_internal_config_dict(
        load: Any, self: Any, model: str, model_class: type, dataset: str
    ) -> None:
        load(self, model, model_class, dataset)
        self.external_config_dict = plain(self.external_config_dict)
        protocol = self.external_config_dict.get("protocol")
        self.internal_config_dict |= defaults_for(model, dataset, protocol)
        protocol = self.internal_config_dict["protocol"]
        check_protocol(model_class, protocol, self.external_config_dict)
        check_option_values(model, self.external_config_dict)


@patch("recbole.config.configurator", upstream="none: what is wrong shows after training")
def check_every_config(module: ModuleType) -> None:
    """Refuse options that do not go together, for whoever makes a Config."""
    from llm4rec_recbole.training.setting_checks import check_settings

    @wrap(module.Config)
    def __init__(init: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        check_settings(self)


@patch("recbole.config.configurator", upstream="RecBole #1311")
def set_repeatable(module: ModuleType) -> None:
    """Under this project's protocols no model may recommend an item that the user has seen.

    RecBole lets sequential models do so, and requires `repeatable: True` of them. Here the option
    only says from which items RecBole draws negatives.
    """

    @wrap(module.Config)
    def _set_default_parameters(check: Any, self: Any) -> None:
        values = self.final_config_dict
        if values.get("protocol") in PROTOCOLS:
            values["repeatable"] = values["MODEL_TYPE"] == module.ModelType.SEQUENTIAL
        check(self)


@patch("recbole.config.configurator", upstream="none: ml-100k is always the wheel's")
def read_a_copy_of_ml_100k(module: ModuleType) -> None:
    """Read ml-100k from `data_path` where the user names a folder that holds it."""

    @wrap(module.Config)
    def _set_default_parameters(check: Any, self: Any) -> None:
        check(self)
        folder = self.external_config_dict.get("data_path")
        if self.dataset == "ml-100k" and folder is not None:
            copy = Path(folder, self.dataset)
            if (copy / f"{self.dataset}.inter").is_file():
                self.final_config_dict["data_path"] = str(copy)


@patch("recbole.data.dataset.dataset", upstream="RecBole #2204: times are cast to float32")
def split_in_exact_order(module: ModuleType) -> None:
    """Split by data/splits.py, on the exact times."""

    @wrap(module.Dataset)
    def build(build_as_recbole: Any, self: Any) -> list[Any]:
        if self.config["protocol"] not in PROTOCOLS:
            parts = build_as_recbole(self)
            if not len(parts[0]):
                hint = "the data set is too small"
                raise InputError("the split leaves no interaction to train on", hint=hint)
            return parts
        from llm4rec_recbole.training.dataset import split_dataset

        return split_dataset(self)


@patch("recbole.data.utils", upstream="none: the table of loaders is local to a function")
def load_windows_and_held_out(module: ModuleType) -> None:
    """Train on windows where the model names its `batches`; rank held-out items in one pass.
    Under RecBole's protocol RecBole's loaders are used, but EnhancedGenRec trains on windows."""
    of_recbole = module.get_dataloader

    def get_dataloader(config: Any, phase: str) -> Any:
        from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader
        from llm4rec_recbole.training.batches import LOADERS
        from llm4rec_recbole.training.dataset import WindowDataset, whole_histories

        kind: Any = getattr(config.model_class, "batches", None)
        if config["protocol"] not in PROTOCOLS:
            if phase == "train" and kind == "position":  # it cannot train on RecBole's rows
                return lambda config, dataset, *unused, **options: LOADERS[kind](
                    config, whole_histories(dataset)
                )
            return of_recbole(config, phase)

        def loader(config: Any, dataset: Any, *samplers: Any, shuffle: bool = False) -> Any:
            if phase != "train":
                return HeldOutLoader(config, dataset, phase)
            if isinstance(dataset, WindowDataset):
                return LOADERS[kind](config, dataset)
            return of_recbole(config, phase)(config, dataset, *samplers, shuffle=shuffle)

        return loader

    replace(module, "get_dataloader", get_dataloader)


@patch("recbole.data.utils", upstream="none: `epochs: ~` is this project's")
def choose_epochs(module: ModuleType) -> None:
    """Set `epochs` and `eval_step` by the training data where they are ~."""
    of_recbole = module.data_preparation

    def data_preparation(config: Any, dataset: Any) -> Any:
        loaders = of_recbole(config, dataset)
        if config["epochs"] is None or config["eval_step"] is None:
            from llm4rec_recbole.training.dataset import interactions_of
            from llm4rec_recbole.training.trainer import set_epochs

            set_epochs(config, config.model_class, interactions_of(loaders[0]._dataset))
        return loaders

    replace(module, "data_preparation", data_preparation)


@patch("recbole.trainer.trainer", upstream="none: the options are this project's")
def prepare_models_of_scripts(module: ModuleType) -> None:
    """Obey `item_init` and the choices on validation where a script calls `trainer.fit` itself."""

    @wrap(module.Trainer)
    def fit(
        train: Any, self: Any, train_data: Any, valid_data: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        from llm4rec_recbole.training.trainer import prepare_for_script

        prepare_for_script(self, train_data, valid_data)
        return train(self, train_data, valid_data, *args, **kwargs)
