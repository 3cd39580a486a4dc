"""Every run: what it was made from, with what, where and when."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.reporting.page.html import columns, scrollable, words
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


def provenance(records: list[Record], sections: list[AccuracySection]) -> str:
    """A row for each record, and failures; what all records agree on is said once, above.

    Hashes are cut to eight digits, whole under the pointer.
    """
    values = {name: [record.provenance.get(key) for record in records]
              for name, key in SHOWN.items()}  # fmt: skip
    alike = [name for name, its in values.items() if len(its) > 1 and all(v == its[0] for v in its)]
    said = "; ".join(f"{escape(name)} {_value(values[name][0])}" for name in alike)
    above = f'<p class="caption">Alike in every run: {said}.</p>' if alike else ""
    differing = {name: key for name, key in SHOWN.items() if name not in alike}
    head = columns([("", name) for name in ("Record", *differing)])
    rows = "".join(_row(record, [*differing.values()]) for record in records)
    whole = f'<table class="sortable">{head}<tbody>{rows}</tbody></table>'
    return above + scrollable(whole, "Provenance of every run") + _failures(sections)


def _row(record: Record, keys: Sequence[str]) -> str:
    path = "/<wbr>".join(words(part) for part in record.path.parts[-5:])
    cells = [f'<th scope="row"><code>{path}</code></th>']
    cells += [f"<td>{_value(record.provenance.get(key))}</td>" for key in keys]
    return (
        f'<tr data-setting="{escape(f"{record.dataset}, {record.protocol}")}">{"".join(cells)}</tr>'
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
