"""The folder of a data set's atomic files."""

from __future__ import annotations

from pathlib import Path

from llm4rec_recbole.errors import InputError, did_you_mean
from llm4rec_recbole.files import recbole_folder

BUNDLED_DATASET = "ml-100k"  # the recbole wheel carries it


def dataset_folder(dataset: str, data_path: str | Path = "dataset") -> Path:
    """The folder of `<dataset>.inter`: the recbole wheel's for ml-100k, else one in `data_path`.

    Raises InputError when there is no such data set; the hint lists those that exist.
    """
    if dataset == BUNDLED_DATASET:
        return recbole_folder() / "dataset_example" / BUNDLED_DATASET
    folder = Path(data_path) / dataset
    if (folder / f"{dataset}.inter").is_file():
        return folder
    paths = sorted(Path(data_path).glob("*/*.inter"))
    names = [BUNDLED_DATASET, *(path.stem for path in paths if path.stem == path.parent.name)]
    hint = f"known: {', '.join(names)}; others go to {folder / dataset}.inter"
    if misnamed := [path.name for path in paths if path.parent == folder]:
        hint += f", where there is {' and '.join(misnamed)}"
    raise InputError(f"no data set {dataset!r}{did_you_mean(dataset, names)}", hint=hint)


def data_file(dataset: str, suffix: str, data_path: str | Path = "dataset") -> Path:
    """The path of the data set's `.<suffix>` file, which need not exist."""
    try:
        folder = dataset_folder(dataset, data_path)
    except InputError:  # results from another machine, whose data set is not on this one
        folder = Path(data_path) / dataset
    return folder / f"{dataset}.{suffix}"
