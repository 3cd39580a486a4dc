"""Every run: what it was made from, with what, where and when."""

from __future__ import annotations

from html import escape
from typing import Any

from llm4rec_recbole.analysis.records import Record
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection
from llm4rec_recbole.reporting.page.html import columns, scrollable

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


def provenance(records: list[Record], sections: list[AccuracySection]) -> str:
    """A row for each record, hashes cut to eight digits (whole under the pointer), and failures."""
    head = columns([("", name) for name in ("Run", "Record", *SHOWN)])
    rows = "".join(_row(record) for record in records)
    whole = f'<table class="sortable">{head}<tbody>{rows}</tbody></table>'
    return scrollable(whole, "Provenance of every run") + _failures(sections)


def _row(record: Record) -> str:
    run = f"{record.dataset} {record.protocol} {record.method} seed {record.seed}"
    path = "/".join(record.path.parts[-5:])
    cells = [f'<th scope="row">{escape(run)}</th>', f"<td><code>{escape(path)}</code></td>"]
    cells += [f"<td>{_value(record.provenance.get(key))}</td>" for key in SHOWN.values()]
    return (
        f'<tr data-place="{escape(f"{record.dataset}, {record.protocol}")}">{"".join(cells)}</tr>'
    )


def _value(value: Any) -> str:
    text = "–" if value is None else str(value)
    digits, dash, rest = text.partition("-")
    if len(digits) in (40, 64) and not set(digits) - set("0123456789abcdef"):
        shown = escape(digits[:8] + dash + rest)
        return f'<code title="{escape(text)}">{shown}</code>'
    return escape(text)


def _failures(sections: list[AccuracySection]) -> str:
    """Failed runs of the main tables, which have no record to show."""
    lines = [
        f"<li>{escape(f'{f.dataset} {f.protocol} {f.method} seed {f.seed}: {f.error}')}</li>"
        for section in sections
        for row in section.rows
        for f in row.failures
    ]
    return f"<h3>Failed runs</h3><ul>{''.join(lines)}</ul>" if lines else ""
