"""Reads run records, failure notes and shuffle tests; a bad file gives one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ACCURACY
from llm4rec_recbole.evaluation.paths import Run, Setting, recorded_runs
from llm4rec_recbole.evaluation.run_record import RANKINGS, RunRecord, parse_record
from llm4rec_recbole.files import read_json

#: Test metrics of the lists: the keys of `Record.beyond_accuracy`.
BEYOND_ACCURACY = (
    "intra_list_diversity@10",
    "coverage@10",
    "coverage@100",
    "novelty@10",
    "fairness@10",
    "user_fairness@10",
    "item_exposure@10",
)


@dataclass(frozen=True)
class Record(Run):
    """A run record, and the paths of its two files."""

    path: Path
    users_path: Path
    accuracy: dict[tuple[str, str], float]  # (ranking, metric) -> test value
    beyond_accuracy: dict[str, float | None]  # metric -> test value, None where it is undefined
    fairness_of: frozenset[str]  # what fairness compares: gender, …, category; empty if unknown
    #: "users" or "items" → the middle 95 % of that part of fairness with shuffled groups.
    fairness_null: dict[str, tuple[float, float]]
    cost: dict[str, float | None]  # numbers of Table III, with energy_wh and co2e_g
    energy_missing: str | None  # why there is no estimate of energy
    provenance: dict[str, Any]
    history: list[tuple[float, float]]  # (epoch, validation NDCG@10); empty in older records

    @property
    def valid_ndcg(self) -> float | None:
        """The best validation NDCG@10; None in older records."""
        return max((value for _, value in self.history), default=None)


@dataclass(frozen=True)
class Failure(Run):
    """One run that ended in an error."""

    error: str


Runs = dict[str, list[Record]]  # method → its seeds


def mean_over_seeds(values: Iterable[float | None]) -> float | None:
    """The mean over the seeds; None where a seed has no value, or where there is no seed."""
    numbers = [*values]
    if not numbers or None in numbers:
        return None
    return float(np.mean(np.array(numbers, dtype=float)))


def read_records(results: Path) -> list[Record]:
    """All records in results/runs of the protocols that rank every user, sorted by path.

    Raises InputError, with the record's path and the field, for a record that is not JSON, lacks a
    value, holds a value of another kind, or contradicts its path.
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
            content, seed = read_json(path), parts[3].removeprefix("seed_")
            if not isinstance(content, dict) or "error" not in content:
                raise InputError("there is no error", file=path)
            if not seed.isdigit():
                raise InputError("the name must be seed_<number>.json", file=path)
            error = str(content["error"]).strip()
            failures.append(Failure(parts[0], parts[1], parts[2], int(seed), error))
    return failures


def by_method(records: Iterable[Record], methods: Sequence[str]) -> dict[Setting, Runs]:
    """Records of `methods` by (dataset, protocol), then by method in the order of `methods`.

    A method's records are sorted by seed. Records of other methods are left out.
    """
    grouped: dict[Setting, Runs] = {}
    listed = [record for record in records if record.method in methods]
    for record in sorted(listed, key=lambda r: (r.setting, methods.index(r.method), r.seed)):
        section = grouped.setdefault(record.setting, {})
        section.setdefault(record.method, []).append(record)
    return grouped


def _record(path: Path, run: Run, results: Path) -> Record:
    record = parse_record(read_json(path), path)
    for key, of_path in asdict(run).items():
        if (value := getattr(record, key)) != of_path:
            message = f"the record says {key} {value!r}, its path says {of_path!r}"
            raise InputError(message, file=path)
    test = record.metrics.test.model_dump(by_alias=True)
    parts = test["fairness_parts@10"]
    test["user_fairness@10"] = _users_part(record)
    test["item_exposure@10"] = parts.get("category", test["item_exposure@10"])
    null = record.metrics.test.fairness_null_10
    ranges = {} if null is None else {"users": null.users, "items": null.items}
    return Record(
        **asdict(run),
        path=path,
        users_path=run.users(results),
        accuracy={(of, metric): test[of][metric] for of in RANKINGS for metric in ACCURACY},
        beyond_accuracy={key: test[key] for key in BEYOND_ACCURACY},
        fairness_of=frozenset(name for name, value in parts.items() if value is not None),
        fairness_null={part: (r.low, r.high) for part, r in ranges.items() if r is not None},
        cost=_cost(record),
        energy_missing=record.cost.energy_missing,
        provenance=record.provenance.model_dump(exclude_unset=True),
        history=[
            (validation.epoch, metrics["ndcg@10"])
            for validation in record.history
            if "ndcg@10" in (metrics := validation.__pydantic_extra__)
        ],
    )


def _users_part(record: RunRecord) -> float | None:
    """The users' part of fairness, which older records hold by attribute only."""
    test = record.metrics.test
    if test.user_fairness_10 is not None:
        return test.user_fairness_10
    parts = [
        v for name, v in test.fairness_parts_10.items() if name != "category" and v is not None
    ]
    return sum(parts) / len(parts) if parts else None


def _cost(record: RunRecord) -> dict[str, float | None]:
    """The record's numbers of cost. `energy_wh` and `co2e_g` add training and evaluation."""
    cost = record.cost.model_dump(exclude={"energy", "energy_missing"})
    energy = record.cost.energy
    return cost | {
        "energy_wh": energy and energy.training_wh + energy.evaluation_wh,
        "co2e_g": energy and energy.training_co2e_g + energy.evaluation_co2e_g,
    }


# The shuffle test: accuracy from histories in order and in random order.
# `python -m benchmarks.studies.order_matters` writes it; the note below Table I reads it.

SHUFFLE_TESTS = "order.json"


@dataclass(frozen=True)
class ShuffleTest:
    """NDCG@10 of one trained model on the test items, full ranking."""

    dataset: str
    protocol: str
    method: str
    users: int
    ordered: float
    shuffled: float  # mean over the random orders
    low: float  # 95 % interval of the difference, over users
    high: float
    shuffles: int  # random orders

    @property
    def key(self) -> tuple[str, str, str]:
        """What was measured."""
        return self.dataset, self.protocol, self.method


def read_tests(path: Path) -> list[ShuffleTest]:
    """Return the tests in a file; none where it is absent. Raises InputError for a bad file."""
    try:
        rows = read_json(path)
    except FileNotFoundError:
        return []
    try:
        tests = [ShuffleTest(**row) for row in rows]
    except TypeError:
        tests = None
    if tests is None or not all(map(_has_values, tests)):
        hint = "python -m benchmarks.studies.order_matters"
        raise InputError("not results of the shuffle test", file=path, hint=hint)
    return tests


def _has_values(test: ShuffleTest) -> bool:
    """Whether the names are text and the other fields numbers."""
    names, numbers = astuple(test)[:3], astuple(test)[3:]
    return all(type(name) is str for name in names) and all(
        type(number) in (int, float) for number in numbers
    )
