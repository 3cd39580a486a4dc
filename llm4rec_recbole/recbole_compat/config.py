"""Configuration: NumPy 2, values parsed as YAML, this project's property files."""

from __future__ import annotations

import functools
import re
from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import mends

OWN_PROTOCOLS = ("loo", "temporal")


@mends("recbole", upstream="RecBole PR #2203")
def numpy_names(module: ModuleType) -> None:
    """Give NumPy 2 the two old names that RecBole writes and NumPy has not: `float` and `str`."""
    import numpy as np

    vars(np).setdefault("float", float)
    vars(np).setdefault("str", str)


@mends("recbole.config.configurator", upstream="RecBole PR #2203")
def no_numpy_aliases(module: ModuleType) -> None:
    """Leave NumPy's other names alone: RecBole sets eight, from names that NumPy 2 has not."""
    module.Config.compatibility_settings = lambda self: None


@functools.cache
def yaml_loader() -> Any:
    """A safe YAML loader that also reads `1e-4` as a number, as RecBole's files write it."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )
    return Loader


def parse_value(text: str) -> Any:
    """The value of an option given as text: YAML, or the text itself where it is not YAML.

    `None` is no value, as in Python; RecBole's intervals such as `[5,inf)` stay text.
    """
    import yaml

    try:
        value = yaml.load(text, Loader=yaml_loader())
    except yaml.YAMLError:
        return text
    return None if value == "None" else text if text == "" else value


@mends("recbole.config.configurator", upstream="none")
def values_are_yaml(module: ModuleType) -> None:
    """RecBole passes every string value through `eval`: parse it as YAML instead."""

    def convert_config_dict(self: Any, config_dict: dict[str, Any]) -> dict[str, Any]:
        for key, value in config_dict.items():
            if isinstance(value, str):
                config_dict[key] = parse_value(value)
        return config_dict

    module.Config._convert_config_dict = convert_config_dict
    module.Config._build_yaml_loader = lambda self: yaml_loader()


@mends("recbole.trainer.hyper_tuning", upstream="none")
def choices_are_yaml(module: ModuleType) -> None:
    """RecBole passes the choices in a search file through `eval`: parse them as YAML instead."""
    vars(module)["eval"] = parse_value


@mends("recbole.config.configurator", upstream="none: the path is hard-coded")
def own_property_files(module: ModuleType) -> None:
    """Lay this project's property files over RecBole's own defaults."""
    from llm4rec_recbole.config import defaults_for

    load = module.Config._load_internal_config_dict

    def load_internal_config_dict(self: Any, model: str, model_class: type, dataset: str) -> None:
        load(self, model, model_class, dataset)
        protocol = self.external_config_dict.get("protocol")
        for key, value in defaults_for(model, dataset, protocol, self.yaml_loader).items():
            self.internal_config_dict[key] = value

    module.Config._load_internal_config_dict = load_internal_config_dict


@mends("recbole.config.configurator", upstream="RecBole #1311")
def repeatable_has_one_meaning(module: ModuleType) -> None:
    """Under this project's protocols no model may recommend what the user has seen.

    RecBole lets sequential models do so and asks them to say `repeatable: True`; here the option
    only tells it from which items to draw negatives, so it is set as each family needs it.
    """
    check = module.Config._set_default_parameters

    def set_default_parameters(self: Any) -> None:
        values = self.final_config_dict
        if values.get("protocol") in OWN_PROTOCOLS:
            values["repeatable"] = values["MODEL_TYPE"] == module.ModelType.SEQUENTIAL
        check(self)

    module.Config._set_default_parameters = set_default_parameters


@mends("recbole.config.configurator", upstream="none: RecBole's defaults refuse each other")
def full_cross_entropy_draws_no_negatives(module: ModuleType) -> None:
    """Drop the default sampler where, with the default loss CE, it stops GRU4Rec and its like."""
    check = module.Config._set_default_parameters

    def set_default_parameters(self: Any) -> None:
        values = self.final_config_dict
        sequential = values["MODEL_TYPE"] == module.ModelType.SEQUENTIAL
        by_loss = not hasattr(self.model_class, "input_type") and values.get("loss_type") == "CE"
        if sequential and by_loss and "train_neg_sample_args" not in self.external_config_dict:
            values["train_neg_sample_args"] = None
        check(self)

    module.Config._set_default_parameters = set_default_parameters


@mends("recbole.config.configurator", upstream="none: RecBole reads use_gpu but never heeds it")
def use_gpu_is_heeded(module: ModuleType) -> None:
    """Run on the CPU when `use_gpu` is False."""
    init = module.Config._init_device

    def init_device(self: Any) -> None:
        if self.final_config_dict["use_gpu"] is False:
            self.final_config_dict["gpu_id"] = ""
        init(self)

    module.Config._init_device = init_device
