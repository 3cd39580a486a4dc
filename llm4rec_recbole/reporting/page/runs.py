"""Every run: the leaderboard over all data sets, and what each run was made from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from llm4rec_recbole.analysis.paper.paper_tables import (
    METHODS,
    NULL,
    OTHER,
    OURS,
    PAPERS,
    RANKING_NAMES,
    REFERENCE,
    group_of,
)
from llm4rec_recbole.evaluation.record_reader import Record, Runs, Setting
from llm4rec_recbole.registry import ENHANCED_GENREC, variant
from llm4rec_recbole.reporting.page.render import render
from llm4rec_recbole.reporting.tables.render import NONE, number, over_seeds, seeds_text
from llm4rec_recbole.reporting.tables.rows import AccuracySection

#: Group of a method → its name in the filter.
GROUPS = {
    "ours": "the paper's model",
    "baseline": "the paper's baselines",
    "reference": "references",
    "null": "nulls",
    "part": "parts of the paper's model",
    "other": "other methods",
}
COLUMNS = (
    "Method", "Data set", "Protocol", "Ranking", "NDCG@10", "HR@10", "Validation NDCG@10", "Seeds",
    "Training, s", "Run records", "Options",
)  # fmt: skip
NOTES = (
    "Mean ± standard deviation over seeds. Bold: the best NDCG@10 of a data set, protocol and "
    "ranking. Grey: a null, a simpler method that could give the same numbers.",
    "Full: all items that the user has not seen. Uniform-100, Popular-100: the held-out item and "
    "100 sampled ones. No claim rests on sampled rankings.",
    "Each data set has its own folder of results. Runs of one data set on another processor are "
    "left out. How much a method was tuned differs by data set; its options are linked.",
)


@dataclass(frozen=True)
class MethodRuns:
    """A method on one data set and protocol: all of its seeds."""

    dataset: str
    protocol: str
    method: str
    records: list[Record]

    @property
    def group(self) -> str:
        """The key of GROUPS."""
        if self.method == OURS:
            return "ours"
        group = group_of(self.method)
        if group == OTHER and (self.method in METHODS or self.method.startswith(f"{OURS}_")):
            return "part"
        return {PAPERS: "baseline", REFERENCE: "reference", NULL: "null", OTHER: "other"}[group]

    def values(self, ranking: str, metric: str) -> list[float]:
        """The test values, one for each seed."""
        return [record.accuracy[ranking, metric] for record in self.records]


def entries_of(settings: Mapping[Setting, tuple[Path, Runs]]) -> list[MethodRuns]:
    """All methods of all data sets, sorted."""
    return [
        MethodRuns(*setting, method, records)
        for setting, (_, runs) in sorted(settings.items(), key=lambda item: item[0])
        for method, records in sorted(runs.items())
    ]


def leaderboard(entries: Sequence[MethodRuns], page_folder: Path) -> Markup:
    """A row for each entry and ranking, the best NDCG@10 first within a data set and protocol.

    page_folder: the folder of the page, from which its links lead.
    """
    rows = []
    for dataset, protocol in dict.fromkeys((e.dataset, e.protocol) for e in entries):
        setting_entries = [e for e in entries if (e.dataset, e.protocol) == (dataset, protocol)]
        for ranking, name in RANKING_NAMES.items():
            means = [float(np.mean(entry.values(ranking, "ndcg@10"))) for entry in setting_entries]
            ordered = [setting_entries[n] for n in np.argsort(means, kind="stable")[::-1]]
            for rank, entry in enumerate(ordered):
                rows.append(_row(entry, ranking, name, rank == 0, page_folder))
    choices = [
        ("dataset", "Data set", _choices(rows, "dataset")),
        ("protocol", "Protocol", _choices(rows, "protocol")),
        ("ranking", "Ranking", _choices(rows, "ranking")),
        ("group", "Methods", [c for c in GROUPS.items() if c[0] in {r["group"] for r in rows}]),
    ]
    columns = [("", name) for name in COLUMNS]
    return render("leaderboard.html", rows=rows, columns=columns, choices=choices, notes=NOTES)


def _choices(rows: Sequence[dict[str, Any]], key: str) -> list[tuple[str, str]]:
    return [(value, value) for value in dict.fromkeys(row[key] for row in rows)]


def _row(
    entry: MethodRuns, ranking: str, name: str, best: bool, page_folder: Path
) -> dict[str, Any]:
    seconds, _ = over_seeds([record.cost["train_seconds"] for record in entry.records])
    return {
        "method": entry.method,
        "group": entry.group,
        "dataset": entry.dataset,
        "protocol": entry.protocol,
        "ranking": name,
        "best": best,
        "numbers": [
            seeds_text(entry.values(ranking, "ndcg@10"), 4),
            seeds_text(entry.values(ranking, "hit@10"), 4),
            seeds_text([record.valid_ndcg for record in entry.records], 4) or NONE,
            str(len(entry.records)),
            number(seconds, 1) or NONE,
        ],
        "records": [(str(r.seed), _link(r.path, page_folder)) for r in entry.records],
        "options": _options(entry, page_folder),
    }


def _link(path: Path, page_folder: Path) -> str:
    """The address of `path` relative to the page."""
    return quote(os.path.relpath(path, page_folder).replace(os.sep, "/"))


def _options(entry: MethodRuns, page_folder: Path) -> tuple[str, str] | None:
    """Name and address of the method's file of options, in properties/ beside the results."""
    model, options = variant(entry.method)
    model = OURS if model in ENHANCED_GENREC else model
    folder = page_folder.parent / "properties"
    files = [folder / "experiment" / entry.dataset / f"{entry.method}.yaml"]
    files += [folder / "nulls.yaml"] if entry.group == "null" and options else []
    files.append(folder / "model" / f"{model}.yaml")
    for file in files:
        if file.is_file():
            return file.stem, _link(file, page_folder)
    return None


SHOWN = {
    "Commit": "git_commit",
    "Data": "data_sha256",
    "Options": "config_sha256",
    "Packages": "lock_sha256",
    "Hardware": "hardware",
    "Device": "device",
    "Threads": "threads",
    "torch": "torch",
    "Python": "python",
    "Pretrained": "pretrained",
    "Started": "started",
}


def provenance(
    records: Sequence[Record], sections: Sequence[AccuracySection], page_folder: Path
) -> Markup:
    """A row for each record, and the failures. What all records have in common stands above."""
    values = {name: [record.provenance.get(key) for record in records]
              for name, key in SHOWN.items()}  # fmt: skip
    alike = [
        name
        for name, cells in values.items()
        if len(cells) > 1 and all(v == cells[0] for v in cells)
    ]
    differing = [name for name in SHOWN if name not in alike]
    runs = [
        {
            "setting": f"{record.dataset}, {record.protocol}",
            "path": record.path.parts[-5:],
            "link": _link(record.path, page_folder),
            "values_": [values[name][n] for name in differing],
        }
        for n, record in enumerate(records)
    ]
    failures = [
        f"{f.dataset} {f.protocol} {f.method} seed {f.seed}: {f.error}"
        for section in sections
        for row in section.rows
        for f in row.failures
    ]
    return render(
        "provenance.html",
        alike=[(name, values[name][0]) for name in alike],
        columns=[("", name) for name in ("Record", *differing)],
        runs=runs,
        failures=failures,
    )
