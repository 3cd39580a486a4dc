"""The specification of a data set: `source` in properties/dataset/<name>.yaml.

source:
  format: movielens_dat            # the reader: a module of datasets/readers
  filters: {rating: ">=4"}         # which interactions are used
  files:                           # role → candidate files; the first one that exists is read
    ratings: [{name: ratings.dat, sha256: …, url: …}, {name: ratings_ge4.dat}]
    users: {name: users.dat, optional: true}

The models below define each key: its type, range, default and description. An unknown key or a bad
value is an error with the file, its line and the nearest valid name.
"""

from __future__ import annotations

import re
import reprlib
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from llm4rec_recbole.errors import InputError, did_you_mean
from llm4rec_recbole.files import properties_folder

#: Folder in raw/ with downloads that no checksum has confirmed yet. No reader looks there.
DOWNLOADS = "download"
#: File in raw/ that exists while the raw files are a mixture of two versions.
INCOMPLETE = "INCOMPLETE"

Format = Literal[
    "sequences", "movielens_dat", "movielens_csv", "amazon_2014", "amazon_2023", "yelp", "atomic"
]
#: Format → roles of its files. The first role holds the interactions and is required.
ROLES: dict[str, tuple[str, ...]] = {
    "sequences": ("sequences", "attributes", "ids", "titles", "texts", "products"),
    "movielens_dat": ("ratings", "items", "users"),
    "movielens_csv": ("ratings", "items", "tags"),
    "amazon_2014": ("reviews", "items"),
    "amazon_2023": ("reviews", "items"),
    "yelp": ("reviews", "items", "users", "tips", "checkins"),
    "atomic": ("inter", "item", "user"),  # RecBole's own format needs no conversion
}
Statistic = Literal["users", "items", "interactions", "density", "mean_length"]
NonNegative = Annotated[int | float, Field(ge=0, lt=float("inf"))]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RawFile(_Model):
    """One file as the publisher of the data set offers it."""

    name: str = Field(description="File name, without folders.")
    optional: bool = Field(
        default=False, description="Whether the data set is complete without it."
    )
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="SHA-256, if known."
    )
    git_blob: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{40}$",
        description="SHA-1 of the git blob, if only that is known.",
    )
    bytes: int | None = Field(default=None, ge=0, description="Size, for the progress bar.")
    url: str | None = Field(default=None, pattern="^https?://", description="Where to download it.")

    @field_validator("name")
    @classmethod
    def _without_folders(cls, name: str) -> str:
        if not name or PurePath(name).name != name:
            raise PydanticCustomError("name", "it must be a name without folders")
        return name


class Filters(_Model):
    """Which interactions are used. The rating filter comes first, then the core."""

    rating: str | None = Field(
        default=None,
        pattern=r"^(>=|>|<=|<) ?-?\d+(\.\d+)?$",
        description="Comparison with the rating. It must look like '>=4'.",
    )
    core: int | None = Field(
        default=None, ge=1, description="Fewest interactions of each remaining user and item."
    )


class DatasetSpec(_Model):
    """Where a data set comes from, and what `prepare` makes of it."""

    dataset: str = Field(description="Name of the property file.")
    format: Format = Field(description="Reader of the raw files.")
    files: dict[str, list[RawFile]] = Field(
        description="Role → candidate files, best first. The first one that exists is read."
    )
    timestamps: Literal["seconds", "sequence_index"] = Field(
        default="seconds",
        description="Unix time in seconds, or the index of an interaction in its user's sequence. "
        "An index does not order two users' interactions, so `temporal` is refused.",
    )
    filters: Filters = Field(default=Filters(), description="Which interactions are used.")
    homepage: str = Field(default="", description="Page of the publisher.")
    license: str = Field(default="", description="Terms of use, in a few words.")
    license_agreement: str = Field(
        default="",
        description="Terms that a person must accept on the homepage. `fetch` never downloads.",
    )
    archive: RawFile | None = Field(
        default=None, description="The zip or tar that holds the files."
    )
    expected_rows: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="Role → rows of the original file."
    )
    expected_statistics: dict[Statistic, NonNegative] = Field(
        default={}, description="Counts of the interactions after filtering."
    )

    @field_validator("files", mode="before")
    @classmethod
    def _as_lists(cls, files: Any) -> Any:
        """A single file stands for a list of one."""
        if not isinstance(files, dict):
            return files
        return {
            role: entry if isinstance(entry, list) else [entry] for role, entry in files.items()
        }

    @model_validator(mode="after")
    def _roles_exist(self) -> DatasetSpec:
        roles = ROLES[self.format]
        for role, files in self.files.items():
            if role not in roles:
                raise _error(("files", role), f"unknown role {role!r}", roles)
            if not files:
                raise _error(("files", role), f"no file for {role}", ())
        if roles[0] not in self.files:
            raise _error(("files",), f"no file for {roles[0]}, which {self.format} needs", ())
        for role in self.expected_rows:
            if role not in self.files:
                raise _error(("expected_rows", role), f"unknown role {role!r}", self.files)
        return self


def _error(location: tuple[str, ...], message: str, valid: Any) -> PydanticCustomError:
    hint = f"{did_you_mean(location[-1], valid)}; valid: {', '.join(valid)}" if valid else ""
    return PydanticCustomError("role", "{message}", {"message": message + hint, "at": location})


def read_spec(dataset: str, folder: str | Path | None = None) -> DatasetSpec | None:
    """The specification in the data set's property file, or None if it has no `source`.

    folder: of the property files (default: those of this project). Raises InputError, with the file
    and the line, for broken YAML, an unknown key and a bad value.
    """
    import yaml

    path = Path(folder or properties_folder() / "dataset") / f"{dataset}.yaml"
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # bad bytes and dates too
        raise InputError(f"not YAML: {error}".splitlines()[0], file=path) from None
    source = values.get("source") if isinstance(values, dict) else values
    if isinstance(values, dict) and source is None:
        return None
    if not isinstance(source, dict):
        raise InputError("source must be a mapping with format and files", file=path)
    if "dataset" in source:
        raise InputError("unknown key 'dataset' in source", file=path)
    try:
        return DatasetSpec.model_validate({"dataset": dataset, **source})
    except ValidationError as error:
        location, message = _explain(error.errors()[0])
        line = _line_of(yaml.compose(text), ("source", *location))
        raise InputError(message, file=path, line=line) from None


def _explain(error: ErrorDetails) -> tuple[tuple[int | str, ...], str]:
    """Where the error is in `source`, and what it is in one line."""
    context = error.get("ctx", {})
    location = tuple(context.get("at", error["loc"]))
    name = ".".join(str(part) for part in ("source", *location) if part != "[key]")
    value = reprlib.repr(error["input"])  # short, however large the value is
    key = str(location[-1]) if location else ""
    if error["type"] == "extra_forbidden":
        model: type[BaseModel] = RawFile if location[0] in ("files", "archive") else DatasetSpec
        model = Filters if location[0] == "filters" else model
        keys = [field for field in model.model_fields if field != "dataset"]
        return location, f"unknown key {name}{did_you_mean(key, keys)}; valid: {', '.join(keys)}"
    if error["type"] == "literal_error":
        valid = re.findall("'(.*?)'", context["expected"])
        hint = f"{did_you_mean(value[1:-1], valid)}; valid: {', '.join(valid)}"
        return location, f"{name} is {value}{hint}"
    if error["type"] == "missing":
        return location, f"{name} is missing"
    if "at" in context:
        return location, f"{name}: {error['msg']}"
    return location, f"{name} is {value}: {error['msg']}"


def _line_of(node: Any, location: tuple[int | str, ...]) -> int | None:
    """Line from 1 of the deepest node on the path `location` that the YAML text has."""
    line = None
    for part in location:
        if isinstance(node.value, list) and isinstance(part, int):
            if node.id == "sequence" and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        elif node.id == "mapping":
            match = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if match is not None:
                line, node = match[0].start_mark.line + 1, match[1]
    return line


def spec_names() -> list[str]:
    """The data sets with a valid specification. A broken one is reported when it is named."""
    names = []
    for file in sorted((properties_folder() / "dataset").glob("*.yaml")):
        try:
            spec = read_spec(file.stem)
        except (InputError, OSError):
            continue
        if spec is not None:
            names.append(file.stem)
    return names


def raw_files(spec: DatasetSpec, folder: str | Path) -> dict[str, Path]:
    """Role → the raw file in `folder` or in a folder below it.

    All files come from one tree: the folder of the first required file, and the folders below it.
    Raises InputError if a required file is missing, or if one name occurs several times below the
    folder. An interrupted import leaves files of two versions, which are refused too.
    """
    base = folder = Path(folder)
    hint = f"llm4rec fetch {spec.dataset}"
    if (folder / INCOMPLETE).exists():
        message = "the import of raw files was interrupted: they are of two versions"
        raise InputError(message, file=folder, hint=f"run {hint} again")
    paths: dict[str, Path] = {}
    required = {
        role: not all(file.optional for file in files) for role, files in spec.files.items()
    }
    for role in sorted(spec.files, key=lambda role: not required[role]):
        matches = [path for file in spec.files[role] for path in _find(base, file.name, folder)]
        if matches:
            base = base if paths else matches[0].parent
            paths[role] = matches[0]
        elif required[role]:
            names = " or ".join(file.name for file in spec.files[role])
            raise InputError(f"there is no {names}", file=base, hint=hint)
    return {role: paths[role] for role in spec.files if role in paths}


def has_raw_files(spec: DatasetSpec, folder: Path) -> bool:
    """Whether any raw file of the data set is in `folder` or below it."""
    names = {file.name for files in spec.files.values() for file in files}
    return any(_find(folder, name, folder, several=True) for name in names)


def _find(base: Path, name: str, raw: Path, *, several: bool = False) -> list[Path]:
    """Files called `name`, with or without .gz: those in `base`, else those below it.

    Downloads in the folder `raw` and files that are being imported do not count.
    """
    names = (name, name[:-3]) if name.endswith(".gz") else (name, f"{name}.gz")
    in_base = [base / name for name in names if (base / name).is_file()]
    below = [
        path
        for name in names
        for path in sorted(base.rglob(name))
        if path.is_file()
        and path.relative_to(raw).parts[0] != DOWNLOADS
        and not path.relative_to(raw).parts[0].startswith(".")
    ]
    if not in_base and len(below) > 1 and not several:
        hint = f"give the folder of one: {', '.join(map(str, below))}"
        raise InputError(f"there are several {name}", file=base, hint=hint)
    return in_base or below
