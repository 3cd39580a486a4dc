"""Reads run records and failure notes, and says in one line which of them is bad."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.files import write_atomically

RANKINGS = ("full", "uni100", "pop100")
PROTOCOLS = ("loo", "temporal")  # "recbole" leaves no users file, so nothing can be recomputed
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
    """One run: where it is written and what it says."""

    path: Path
    users_path: Path
    dataset: str
    protocol: str
    method: str
    seed: int
    accuracy: dict[tuple[str, str], float]  # (ranking, metric) -> test value
    beyond_accuracy: dict[str, float | None]  # metric -> test value, None where it is undefined
    fairness_of: frozenset[str]  # what fairness compares: gender, …, category; empty if not told
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
    """All records under results/runs of the protocols that rank every user, sorted by path.

    Raises InputError naming the record that is not JSON, lacks a value, holds a value that is
    not a finite number, or lies in a folder that contradicts it.
    """
    found: list[Path] = []
    for protocol in PROTOCOLS:
        found += (results / "runs").glob(f"*/{protocol}/*/seed_*.json")
    return [_record(path, results) for path in sorted(found)]


def read_failures(folder: Path) -> list[Failure]:
    """All failure notes `<dataset>.<protocol>.<method>.seed_<k>.json` in `folder`, sorted."""
    failures = []
    for path in sorted(folder.glob("*.seed_*.json")):
        parts = path.stem.rsplit(".", 3)
        if len(parts) == 4 and parts[1] in PROTOCOLS:
            content = _read(path)
            error = str(_value(content, path, "error")).strip()
            failures.append(Failure(parts[0], parts[1], parts[2], _seed(parts[3], path), error))
    return failures


def by_method(
    records: Iterable[Record], methods: Sequence[str]
) -> dict[tuple[str, str], dict[str, list[Record]]]:
    """Records of `methods` by (dataset, protocol), then by method in the order of `methods`.

    A method's records stand in order of seed; records of other methods are left out.
    """
    grouped: dict[tuple[str, str], dict[str, list[Record]]] = {}
    kept = [record for record in records if record.method in methods]
    for record in sorted(
        kept, key=lambda r: (r.dataset, r.protocol, methods.index(r.method), r.seed)
    ):
        section = grouped.setdefault((record.dataset, record.protocol), {})
        section.setdefault(record.method, []).append(record)
    return grouped


def _record(path: Path, results: Path) -> Record:
    content = _read(path)
    dataset, protocol, method = path.relative_to(results / "runs").parts[:3]
    place = {"dataset": dataset, "protocol": protocol, "method": method}
    for key, folder in (place | {"seed": _seed(path.stem, path)}).items():
        if (said := _value(content, path, key)) != folder:
            raise InputError(f"the record says {key} {said!r}, its path says {folder!r}", file=path)
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
    known = frozenset(name for name, value in parts.items() if value is not None)
    cost = {key: _number_or_none(content, path, "cost", key) for key in COST}
    for key in PROVENANCE:
        _value(content, path, "provenance", key)
    users = results / "users" / dataset / protocol / method / f"{path.stem}.parquet"
    return Record(path, users, **place, seed=content["seed"], accuracy=accuracy,
                  beyond_accuracy=beyond, fairness_of=known, cost=cost,
                  provenance=content["provenance"],
                  history=_history(content, path))  # fmt: skip


def _history(content: dict[str, Any], path: Path) -> list[tuple[float, float]]:
    """`history` of the record: [{"epoch": 1, "ndcg@10": 0.05}, …], epochs counted from 1; [] of a
    run that another metric decided."""
    epochs = content.get("history", [])
    if not isinstance(epochs, list):
        raise InputError("history is no list of epochs", file=path)
    return [
        (_number(e, path, "epoch"), _number(e, path, "ndcg@10")) for e in epochs if "ndcg@10" in e
    ]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise InputError("not JSON: the file is not text", file=path) from error


def _value(content: Any, path: Path, *keys: str) -> Any:
    for depth, key in enumerate(keys):
        if not isinstance(content, dict) or key not in content:
            hint = "made by another version of this project: run it again"
            raise InputError(f"there is no {'.'.join(keys[: depth + 1])}", file=path, hint=hint)
        content = content[key]
    return content


def _number(content: Any, path: Path, *keys: str) -> float:
    value = _value(content, path, *keys)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{'.'.join(keys)} is {value!r}, not a finite number", file=path)
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
    """Read what `write_rows` wrote. Raises FileNotFoundError; InputError, which names the line and
    gives `hint`, for what is not such a row."""
    found = []
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                values = {f.name: _TYPES[str(f.type)](row[f.name]) for f in fields(kind)}
            except (KeyError, TypeError, ValueError) as error:
                name = kind.__name__.lower()
                message = f"not a {name}"
                raise InputError(message, file=path, line=reader.line_num, hint=hint) from error
            found.append(kind(**values))
    return found
