"""Every run: what it was made from, with what, where and when."""

from __future__ import annotations

from markupsafe import Markup

from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.reporting.page.render import render
from llm4rec_recbole.reporting.tables.rows import AccuracySection

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


def provenance(records: list[Record], sections: list[AccuracySection]) -> Markup:
    """A row for each record, and the failures; what all records have in common is above."""
    values = {name: [record.provenance.get(key) for record in records]
              for name, key in SHOWN.items()}  # fmt: skip
    alike = [name for name, its in values.items() if len(its) > 1 and all(v == its[0] for v in its)]
    differing = [name for name in SHOWN if name not in alike]
    runs = [
        {
            "setting": f"{record.dataset}, {record.protocol}",
            "path": record.path.parts[-5:],
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
