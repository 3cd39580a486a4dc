"""Where the property files are, and what they say about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import properties_folder as folder
from llm4rec_recbole.registry import ENHANCED_GENREC, recbole_folder


def defaults_for(model: str, dataset: str, protocol: str | None, loader: Any) -> dict[str, Any]:
    """The property files' values for one run: overall, then model, data set and protocol.

    `protocol` is what the user asked for, or None for the one that overall.yaml names. A file that
    does not exist adds nothing: any RecBole model and data set can run. EnhancedGenRec's
    components alone share its file. A data set's `source` says
    how its files came about, not how to run on them, and is left out.

    Raises InputError for the protocol `temporal` on a data set that has an order but no times.
    """
    values = _read(folder() / "overall.yaml", loader)
    protocol = protocol or values.get("protocol", "recbole")
    family = "EnhancedGenRec" if model in ENHANCED_GENREC else model
    files = [("model", family), ("dataset", dataset), ("protocol", protocol)]
    if (
        protocol == "recbole"
        and (recbole_folder() / "properties/model" / f"{model}.yaml").is_file()
    ):
        del files[0]  # RecBole's own defaults; ours are for training on windows
    for kind, name in files:
        values |= _read(folder() / kind / f"{name}.yaml", loader)
    source = values.pop("source", None) or {}
    if protocol == "temporal" and source.get("timestamps") == "sequence_index":
        message = f"{dataset} has no times, only each user's order: no cut in time can be made"
        raise InputError(message, hint="use --protocol=loo")
    return values | {"protocol": protocol}


def _read(path: Path, loader: Any) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        return {}
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=loader) or {}
