"""The atomic files of one data set: where they are, and their checks before any is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.data import atomic_format
from llm4rec_recbole.data.atomic import read_atomic, read_types
from llm4rec_recbole.data.atomic_format import AtomicTable
from llm4rec_recbole.data.splits import PROTOCOLS
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


OTHER_SUFFIXES = ("item", "user", "kg", "link", "net")


def needs_times(config: Any) -> bool:
    """Whether a run with RecBole's `config` needs the time of each interaction."""
    if config["protocol"] in PROTOCOLS or config["MODEL_TYPE"].name == "SEQUENTIAL":
        return True
    if getattr(config.model_class, "reads_order", False):
        return True
    return config["benchmark_filename"] is None and config["eval_args"]["order"] == "TO"


@dataclass(frozen=True)
class DatasetFiles:
    """The files `<folder>/<name>.<suffix>`.

    parts: the benchmark parts, such as ("train", "valid", "test"), when the interactions are in
    `<name>.train.inter` and so on; () when they are in `<name>.inter`.
    """

    folder: Path
    name: str
    file_format: atomic_format.AtomicFormat = atomic_format.DEFAULT_FORMAT
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Any) -> DatasetFiles:
        """The files that RecBole's `config` describes. Raises InputError for an unusable option."""
        file_format = atomic_format.AtomicFormat.of(config)
        parts = config["benchmark_filename"]
        if parts is not None and not (
            isinstance(parts, list)
            and len(parts) == 3
            and all(isinstance(part, str) and part and "/" not in part for part in parts)
        ):
            hint = "three names, such as [train,valid,test]"
            raise InputError(f"benchmark_filename is {parts}", hint=hint)
        folder = Path(config["data_path"])
        return cls(folder, config["dataset"], file_format, tuple(parts or ()))

    def path(self, suffix: str) -> Path:
        """The path of the `.<suffix>` file, which need not exist."""
        return self.folder / f"{self.name}.{suffix}"

    @property
    def interactions(self) -> list[Path]:
        """The paths of the `.inter` files: one, or one for each benchmark part."""
        return [self.path(f"{part}.inter") for part in self.parts] or [self.path("inter")]

    def check(self, timed: bool = True) -> None:
        """Read every file that there is; one whose checked copy is in the cache is not read again.

        timed: whether the interactions need times. Raises InputError, with file and line, for the
        first defect, and for times whose unit differs between benchmark parts.
        """
        file_format = self.file_format
        required = [
            file_format.user_field,
            file_format.item_field,
            *[file_format.time_field] * timed,
        ]
        if len(self.interactions) == 1:
            read_types(self.interactions[0], file_format, required)
        else:
            self._check_parts(required)
        ids = {"item": file_format.item_field, "user": file_format.user_field}
        for suffix in OTHER_SUFFIXES:
            if self.path(suffix).exists():
                table = read_atomic(self.path(suffix), file_format)
                if suffix in ids:
                    table.check_ids(ids[suffix])

    def _check_parts(self, required: Sequence[str]) -> None:
        tables = [read_atomic(path, self.file_format, required) for path in self.interactions]
        for table in tables[1:]:
            if table.types != tables[0].types:
                hint = f"they are {', '.join(tables[0].types)}"
                message = f"the columns are not those of {tables[0].path.name}"
                raise InputError(message, file=table.path, line=1, hint=hint)
        self._check_units(tables)

    def _check_units(self, tables: Sequence[AtomicTable]) -> None:
        field = self.file_format.time_field
        if any(table.types.get(field) != "float" for table in tables):
            return
        times = [table.columns[field].to_numpy() for table in tables]
        row = atomic_format.first_unit_change(np.concatenate(times))
        if row is not None:
            ends = np.cumsum([len(part) for part in times])
            number = int(np.searchsorted(ends, row, side="right"))
            line = row - int(ends[number] - len(times[number])) + 2
            first, other = times[0][0], times[number][line - 2]
            raise atomic_format.mixed_units_error(tables[number].path, line, first, other)
