"""What README.md and the page say first: the answer, what came out, one table.

Generated files get between the markers of README.md:

<!-- generated: paper_tables/summary.md -->
…
<!-- end -->

So no number in README.md is typed. A figure (.svg) becomes a link whose alternative text is the
figure's description.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

from llm4rec_recbole.analysis.claims import LedgerEntry
from llm4rec_recbole.analysis.null_ladder import finding
from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper.paper_tables import NULL, OURS, REFERENCES
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.tables import accuracy
from llm4rec_recbole.reporting.tables.render import escape_markdown, to_markdown
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

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
    short, sentence = does_it_hold(report.claims)
    lines = [f"**{short}.** {sentence}"]
    lines += [
        f"On {section.setting.replace(', ', ' under ')}, {escape_markdown(our_model(section))}\n\n"
        f"{escape_markdown(finding(ablation.ladder))}"
        for section, ablation in zip(report.sections, report.ablations)
    ]
    return "\n\n".join(lines) + "\n"


def does_it_hold(claims: Sequence[LedgerEntry]) -> tuple[str, str]:
    """Whether the paper holds, in two or three words, and two sentences.

    "In full" asks our runs to support every claim. Else the answer is "Not as printed" if the
    paper's own numbers contradict a claim, and "Not shown" if they do not.
    """
    supported = sum(entry.verdict == "supported" and bool(entry.measured) for entry in claims)
    printed = sum(entry.verdict == "supported" and not entry.measured for entry in claims)
    contradicted = sum("paper itself" in entry.verdict for entry in claims)
    short = "Not as printed" if contradicted else "Not shown"
    return (
        "In full" if supported == len(claims) else short,
        f"Our runs support {supported} of the paper's {len(claims)} claims. The paper's own "
        f"printed numbers support {printed} and contradict {contradicted}.",
    )


def summary_table(sections: list[AccuracySection]) -> str:
    """Table I in Markdown without sampled rankings: the paper's numbers and our full ranking."""
    table = accuracy.build(sections)
    columns = [n for n, (group, _) in enumerate(table.columns) if group in ("", "Paper", "Full")]
    short = replace(
        table,
        columns=[table.columns[n] for n in columns],
        sections=[
            replace(section, rows=[[row[n] for n in columns] for row in section.rows])
            for section in table.sections
        ],
        notes=[
            "Paper: as printed. Full: our runs, ranked among all items that the user has not seen.",
            "*: differs from EnhancedGenRec, p < 0.05 after Holm's adjustment. A method of your "
            "own is compared with the best baseline. All notes: paper_tables/table_1.md.",
        ],
    )
    return to_markdown(short)


# What came out on each data set, in sentences.

HIT, NDCG = ("full", "hit@10"), ("full", "ndcg@10")


def summary(sections: list[AccuracySection]) -> list[tuple[str, str]]:
    """(setting, sentence) for each sentence on each data set and protocol."""
    return [(section.setting, line) for section in sections for line in _lines(section)]


def ladder_sentences(report: ReportInputs) -> list[tuple[str, str]]:
    """(setting, what the null ladder finds there); settings without a null are left out."""
    return [
        (section.setting, finding(ablation.ladder))
        for section, ablation in zip(report.sections, report.ablations)
        if ablation.ladder
    ]


def _lines(section: AccuracySection) -> list[str]:
    if not section.users:
        return [f"no method has a result; {_missing(section.rows)}."]
    return [_best(section), our_model(section), _sampled(section)]


def _missing(rows: list[Row]) -> str:
    """Which of `rows` lack a result, or a part of it, and why; "" where nothing is missing."""
    failed = [row.method for row in rows if row.failures and not row.records]
    not_run = [row.method for row in rows if not row.failures and not row.records]
    parts = [f"{', '.join(failed)} failed"] if failed else []
    parts += [f"{', '.join(not_run)} not run"] if not_run else []
    for row in rows:
        if row.failures and row.records:
            runs = len(row.failures) + len(row.records)
            parts.append(f"{len(row.failures)} of {runs} seeds of {row.method} failed")
    return "; ".join(parts)


def _best(section: AccuracySection) -> str:
    ran = [row for row in section.rows if row.ours]
    best = max(ran, key=lambda row: row.ours[NDCG])
    missing = _missing(section.rows)
    methods = f"{len(ran)} method{'s' if len(ran) > 1 else ''}"
    name = best.label if best.group == NULL else best.method
    return (
        f"of {f'the {methods} that ran ({missing})' if missing else methods}, {name} ranks the "
        f"held-out item best among all items: NDCG@10 {best.ours[NDCG]:.3f}, "
        f"HR@10 {best.ours[HIT]:.3f}."
    )


def our_model(section: AccuracySection) -> str:
    """EnhancedGenRec's NDCG@10 and its differences from the best baseline and the best null."""
    (row,) = (row for row in section.rows if row.method == OURS)
    if not row.ours:
        return f"the paper's model has no result ({row.status})."
    missing = _missing([other for other in section.rows if other.printed_as and other is not row])
    tests = [r.tests[NDCG] for r in section.rows if NDCG in r.tests]
    claims = [test for test in tests if test.table == "table_1"]
    paper_methods = {other.method for other in section.rows if other.printed_as}
    baselines = [test for test in claims if test.baseline in paper_methods]
    if not claims:
        return f"the paper's model has no baseline to be compared with ({missing})."
    parts = []
    if baselines:
        closest = min(baselines, key=lambda test: test.difference)
        baseline_name = "the best of the paper's baselines that ran" if missing else (
            "the best of the paper's five baselines"
        )  # fmt: skip
        parts.append(_difference(closest, baseline_name))
    parts += [
        _difference(test, "the best reference" if test.baseline in REFERENCES else "the best null")
        for test in claims
        if test.baseline not in paper_methods
    ]
    note = " One seed supports no claim." if row.one_seed else ""
    runs = "; ".join([f"{row.status}, {section.users} test users", *([missing] if missing else [])])
    return f"EnhancedGenRec has NDCG@10 {row.ours[NDCG]:.3f} ({runs}). {' '.join(parts)}{note}"


def _difference(test: Comparison, baseline_name: str) -> str:
    """One sentence: a difference from a baseline, its interval and its test."""
    significance = "significant" if test.significant else "not significant"
    return (
        f"Against {baseline_name}, {test.baseline}, the difference is {test.difference:+.3f} "
        f"[{test.low:+.3f}, {test.high:+.3f}], {significance} (Holm p {test.p_holm:.2g})."
    )


def _sampled(section: AccuracySection) -> str:
    ran = [row for row in section.rows if row.ours]
    ends = [
        f"{min(values):.3f} to {max(values):.3f}"
        for values in ([r.ours[k, "hit@10"] for r in ran] for k in ("full", "uni100"))
    ]
    printed = [float(row.paper["hit@10"]) for row in section.rows if "hit@10" in row.paper]
    paper = f" The paper prints {min(printed):.3f} to {max(printed):.3f}." if printed else ""
    return (
        f"the same runs' HR@10 is {ends[0]} among all items. It is {ends[1]} when "
        f"the item only has to beat 100 random ones.{paper}"
    )
