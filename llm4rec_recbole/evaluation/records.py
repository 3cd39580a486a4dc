"""Reads run records and failure notes. A bad file is reported in one line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.evaluation.paths import Run, recorded_runs
from llm4rec_recbole.files import read_json, write_atomically

RANKINGS = ("full", "uni100", "pop100")
BEYOND_ACCURACY = ("intra_list_diversity@10", "coverage@100", "novelty@10", "fairness@10")
COST = (
    "train_seconds",
    "inference_ms_per_user",
    "peak_memory_gb",
    "model_size_mb",
    "inference_batch_size",
)
PROVENANCE = (
    "data_sha256",
    "lock_sha256",
    "git_commit",
    "device",
    "hardware",
    "threads",
    "torch",
    "python",
)


@dataclass(frozen=True)
class Record:
    """A run record, and the paths of its two files."""

    path: Path
    users_path: Path
    dataset: str
    protocol: str
    method: str
    seed: int
    accuracy: dict[tuple[str, str], float]  # (ranking, metric) -> test value
    beyond_accuracy: dict[str, float | None]  # metric -> test value, None where it is undefined
    fairness_of: frozenset[str]  # what fairness compares: gender, …, category; empty if unknown
    cost: dict[str, float | None]
    provenance: dict[str, Any]
    history: list[tuple[float, float]]  # (epoch, validation NDCG@10); empty in older records


@dataclass(frozen=True)
class Failure:
    """One run that ended in an error."""

    dataset: str
    protocol: str
    method: str
    seed: int
    error: str


def read_records(results: Path) -> list[Record]:
    """All records in results/runs of the protocols that rank every user, sorted by path.

    Raises InputError, with the record's path, for a record that is not JSON, lacks a value, holds a
    value that is not a finite number, or contradicts its path.
    """
    return [
        _record(path, run, results)
        for path, run in recorded_runs(results, tuple(PROTOCOLS)).items()
    ]


def read_failures(folder: Path) -> list[Failure]:
    """All failure notes `<dataset>.<protocol>.<method>.seed_<k>.json` in `folder`, sorted."""
    failures = []
    for path in sorted(folder.glob("*.seed_*.json")):
        parts = path.stem.rsplit(".", 3)
        if len(parts) == 4 and parts[1] in PROTOCOLS:
            content = read_json(path)
            error = str(_value(content, path, "error")).strip()
            failures.append(Failure(parts[0], parts[1], parts[2], _seed(parts[3], path), error))
    return failures


def by_method(
    records: Iterable[Record], methods: Sequence[str]
) -> dict[tuple[str, str], dict[str, list[Record]]]:
    """Records of `methods` by (dataset, protocol), then by method in the order of `methods`.

    A method's records are sorted by seed. Records of other methods are left out.
    """
    grouped: dict[tuple[str, str], dict[str, list[Record]]] = {}
    listed = [record for record in records if record.method in methods]
    for record in sorted(
        listed, key=lambda r: (r.dataset, r.protocol, methods.index(r.method), r.seed)
    ):
        section = grouped.setdefault((record.dataset, record.protocol), {})
        section.setdefault(record.method, []).append(record)
    return grouped


def _record(path: Path, run: Run, results: Path) -> Record:
    content = read_json(path)
    for key, of_path in asdict(run).items():
        if (value := _value(content, path, key)) != of_path:
            message = f"the record says {key} {value!r}, its path says {of_path!r}"
            raise InputError(message, file=path)
    accuracy = {
        (ranking, metric): _number(content, path, "metrics", "test", ranking, metric)
        for ranking in RANKINGS
        for metric in ACCURACY
    }
    beyond = {
        key: _number_or_none(content, path, "metrics", "test", key) for key in BEYOND_ACCURACY
    }
    parts = content["metrics"]["test"].get("fairness_parts@10") or {}
    if not isinstance(parts, dict):
        raise InputError("fairness_parts@10 is no table of parts", file=path)
    compared = frozenset(name for name, value in parts.items() if value is not None)
    cost = {key: _number_or_none(content, path, "cost", key) for key in COST}
    for key in PROVENANCE:
        _value(content, path, "provenance", key)
    return Record(
        path=path,
        users_path=run.users(results),
        **asdict(run),
        accuracy=accuracy,
        beyond_accuracy=beyond,
        fairness_of=compared,
        cost=cost,
        provenance=content["provenance"],
        history=_history(content, path),
    )


def _history(content: dict[str, Any], path: Path) -> list[tuple[float, float]]:
    """The record's history as (epoch, NDCG@10), epochs counted from 1.

    In the record: [{"epoch": 1, "ndcg@10": 0.05}, …]. Empty where another metric chose the epoch.
    """
    epochs = content.get("history", [])
    if not isinstance(epochs, list):
        raise InputError("history is no list of epochs", file=path)
    if not all(isinstance(epoch, dict) for epoch in epochs):
        raise InputError("history holds something other than an epoch", file=path)
    return [
        (_number(e, path, "epoch"), _number(e, path, "ndcg@10")) for e in epochs if "ndcg@10" in e
    ]


def _value(content: Any, path: Path, *keys: str) -> Any:
    for depth, key in enumerate(keys):
        if not isinstance(content, dict) or key not in content:
            hint = "made by another version of this project: run it again"
            raise InputError(f"there is no {'.'.join(keys[: depth + 1])}", file=path, hint=hint)
        content = content[key]
    return content


def _number(content: Any, path: Path, *keys: str) -> float:
    return finite_number(_value(content, path, *keys), ".".join(keys), path)


def finite_number(value: Any, name: str, path: Path, line: int | None = None) -> float:
    """`value` as a float. Raises InputError, with file and line, unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}, not a finite number", file=path, line=line)
    return float(value)


def _number_or_none(content: Any, path: Path, *keys: str) -> float | None:
    return None if _value(content, path, *keys) is None else _number(content, path, *keys)


def _seed(stem: str, path: Path) -> int:
    number = stem.removeprefix("seed_")
    if not number.isdigit():
        raise InputError("the name must be seed_<number>.json", file=path)
    return int(number)


# CSV files whose rows are dataclasses of str, int and float fields.


_TYPES = {"float": float, "int": int, "str": str}


def write_rows(path: Path, kind: Any, rows: Iterable[Any]) -> None:
    """Write `rows`, all of the dataclass `kind`, a line each below a header, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomically(path, text.getvalue())


def read_rows(path: Path, kind: Any, hint: str) -> list[Any]:
    """Read what `write_rows` wrote. Raises FileNotFoundError where the file is absent.

    Raises InputError, with the line, for a row of another form, and for NaN and Infinity.
    """
    rows = []
    name = kind.__name__.lower()
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                values = {f.name: _TYPES[str(f.type)](row[f.name]) for f in fields(kind)}
                for key, value in values.items():
                    if isinstance(value, float):
                        finite_number(value, key, path, reader.line_num)
                rows.append(kind(**values))
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            line = reader.line_num
            raise InputError(f"not a {name}", file=path, line=line, hint=hint) from error
    return rows
