"""What README.md shows: the answer, one table, and how generated files get between its markers.

<!-- generated: paper_tables/summary.md -->
…
<!-- end -->

So no number in README.md is typed. A figure (.svg) becomes a link whose alternative text is the
figure's description.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from llm4rec_recbole.analysis.null_ladder import finding
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.page.summary import our_model
from llm4rec_recbole.reporting.tables import accuracy
from llm4rec_recbole.reporting.tables.render import (
    Table,
    escape_markdown,
    to_markdown,
)
from llm4rec_recbole.reporting.tables.rows import AccuracySection

_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, folder: Path) -> str:
    """`text` with the body of each marked block replaced by its file's, headings left out.

    Raises InputError when a marked file does not exist.
    """

    def body(block: re.Match[str]) -> str:
        path = folder / block[2]
        if not path.is_file():
            raise InputError("a page shows this file, and it is not there", file=path)
        if path.suffix == ".svg":
            return f"{block[1]}![{_description(path)}]({block[2]})\n{block[3]}"
        lines = path.read_text(encoding="utf-8").splitlines()
        text_lines = [line for line in lines if not line.startswith("# ")]
        return block[1] + "\n".join(text_lines).strip().replace("\n## ", "\n### ") + "\n" + block[3]

    return _BLOCK.sub(body, text)


def _description(drawing: Path) -> str:
    """The <desc> of a drawing, in one line that cannot end the link."""
    description = re.search(r"<desc>(.*?)</desc>", drawing.read_text(encoding="utf-8"), re.DOTALL)
    if description is None:
        raise InputError("the drawing has no description", file=drawing)
    return re.sub(r"([\[\]\\])", r"\\\1", " ".join(unescape(description[1]).split()))


def answer(report: ReportInputs) -> str:
    """Whether the paper holds, and what the null ladder finds on each data set with runs."""
    lines = [holds(report)]
    lines += [
        f"On {section.setting.replace(', ', ' under ')}, {escape_markdown(our_model(section))} "
        f"{escape_markdown(finding(ablation.ladder))}"
        for section, ablation in zip(report.sections, report.ablations)
    ]
    return "\n".join(lines) + "\n"


def holds(report: ReportInputs) -> str:
    """Whether the paper holds, in one sentence after two or three words.

    "In full" asks our runs to support every claim. Else the answer is "Not as printed" if the
    paper's own numbers contradict a claim, and "Not shown" if they do not.
    """
    claims = len(report.claims)
    supported = sum(
        entry.verdict == "supported" and bool(entry.measured) for entry in report.claims
    )
    contradicted = sum("paper itself" in entry.verdict for entry in report.claims)
    short = "Not as printed" if contradicted else "Not shown"
    if supported == claims:
        short = "In full"
    return (
        f"**{short}.** Our runs support {supported} of the paper's {claims} claims, and the "
        f"paper's own numbers contradict {contradicted}."
    )


def summary(sections: list[AccuracySection]) -> str:
    """Table I in Markdown without sampled rankings: the paper's numbers and our full ranking."""
    table = accuracy.build(sections)
    columns = [n for n, (group, _) in enumerate(table.columns) if group in ("", "Paper", "Full")]
    short = Table(
        name=table.name,
        label=table.label,
        title=table.title,
        columns=[table.columns[n] for n in columns],
        sections=[
            replace(section, rows=[[row[n] for n in columns] for row in section.rows])
            for section in table.sections
        ],
        notes=[
            "Paper: as printed. Full: our runs, ranked among all items that the user has not seen.",
            "*: differs from EnhancedGenRec, p < 0.05 after Holm's adjustment (a method that this "
            "project does not have: from the best baseline). All notes: paper_tables/table_1.md.",
        ],
    )
    return to_markdown(short)
