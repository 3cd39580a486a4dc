"""Configuration: NumPy 2, values parsed as YAML, this project's property files."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_plugin.hook import mends


@mends("recbole.config.configurator", upstream="RecBole PR #2203")
def numpy_aliases(module: ModuleType) -> None:
    """NumPy 2 has no `np.float_`, and RecBole still writes `np.float`, `np.bool`, …: alias them."""
    import numpy as np

    def compatibility_settings(self: Any) -> None:
        aliases = {"int": int, "float": float, "complex": complex, "object": object}
        for name, plain in aliases.items():
            if name not in vars(np):
                setattr(np, name, plain)

    module.Config.compatibility_settings = compatibility_settings


@mends("recbole.config.configurator", upstream="none")
def values_are_yaml(module: ModuleType) -> None:
    """RecBole passes every string value through `eval`: parse it as YAML instead."""
    import yaml

    def convert_config_dict(self: Any, config_dict: dict[str, Any]) -> dict[str, Any]:
        for key, value in config_dict.items():
            if isinstance(value, str):
                config_dict[key] = parse_value(value)
        return config_dict

    def parse_value(text: str) -> Any:
        try:
            value = yaml.load(text, Loader=safe_loader())
        except yaml.YAMLError:
            return text
        return text if value is None and text.lower() not in ("null", "~", "none") else value

    def safe_loader(self: Any = None) -> type[yaml.SafeLoader]:
        return _loader_with_exponents()

    module.Config._convert_config_dict = convert_config_dict
    module.Config._build_yaml_loader = safe_loader


def _loader_with_exponents() -> Any:
    """A safe YAML loader that also reads `1e-4` as a number, as RecBole's files write it."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )
    return Loader


@mends("recbole.config.configurator", upstream="none: the path is hard-coded")
def own_property_files(module: ModuleType) -> None:
    """Lay this project's property files over RecBole's own defaults."""
    from llm4rec_recbole.recbole_plugin.properties import defaults_for

    load = module.Config._load_internal_config_dict

    def load_internal_config_dict(self: Any, model: str, model_class: type, dataset: str) -> None:
        load(self, model, model_class, dataset)
        protocol = self.external_config_dict.get("protocol")
        for key, value in defaults_for(model, dataset, protocol, self.yaml_loader).items():
            self.internal_config_dict[key] = value

    module.Config._load_internal_config_dict = load_internal_config_dict
