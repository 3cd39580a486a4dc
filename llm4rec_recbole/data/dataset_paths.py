"""Where a data set's atomic files are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from llm4rec_recbole.errors import InputError, did_you_mean

EMBEDDED = "ml-100k"  # the data set that the recbole wheel carries


def atomic_folder(dataset: str, data_path: str | Path = "dataset") -> Path:
    """The folder of `<dataset>.inter`: the recbole wheel's for ml-100k, else one in `data_path`.

    Raises InputError, naming the data sets that are there, when this one is not.
    """
    if dataset == EMBEDDED:
        return _wheel() / EMBEDDED
    folder = Path(data_path) / dataset
    if (folder / f"{dataset}.inter").is_file():
        return folder
    there = sorted(Path(data_path).glob("*/*.inter"))
    known = [EMBEDDED, *(path.stem for path in there if path.stem == path.parent.name)]
    hint = f"known: {', '.join(known)}; others go to {folder / dataset}.inter"
    if misnamed := [path.name for path in there if path.parent == folder]:
        hint += f", where there is {' and '.join(misnamed)}"
    raise InputError(f"no data set {dataset!r}{did_you_mean(dataset, known)}", hint=hint)


def data_file(dataset: str, kind: str, data_path: str | Path = "dataset") -> Path:
    """The data set's `.<kind>` file, whether or not it is there."""
    try:
        return atomic_folder(dataset, data_path) / f"{dataset}.{kind}"
    except InputError:  # of results from elsewhere, on data that were not brought along
        return Path(data_path) / dataset / f"{dataset}.{kind}"


def _wheel() -> Path:
    """The wheel's data sets, found without importing recbole."""
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("recbole is not installed, so its ml-100k is not there")
    return Path(spec.submodule_search_locations[0]) / "dataset_example"
