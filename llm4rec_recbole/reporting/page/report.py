"""results/report.html: tables, figures and claims in one file that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from llm4rec_recbole.reporting.figures import svg
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.page import claims, figure_sections
from llm4rec_recbole.reporting.page.model_outputs import faithfulness, recommendations, replay
from llm4rec_recbole.reporting.page.render import render, table
from llm4rec_recbole.reporting.page.runs import Entry, leaderboard, provenance
from llm4rec_recbole.reporting.page.summary import does_it_hold, summary

PAGE = Path(__file__).parent
TITLE = "LLM4Rec on RecBole: does the paper hold?"
LEAD = (
    "A replication of “LLM4Rec: Large Language Models for Multimodal Generative Recommendation "
    "with Causal Debiasing”. The paper came without code, seeds, variance or an evaluation "
    "protocol. Every number of ours comes from a run record in this repository. Every difference "
    "in a metric that each user has is tested on the same users."
)


def page(report: ReportInputs, results: Path, entries: Sequence[Entry], page_folder: Path) -> str:
    """The whole page. Raises InputError for a bad file of a model's outputs.

    entries: the methods of all data sets. page_folder: where the page will be, for its links.
    """
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    style += svg.STYLE.read_text(encoding="utf-8")
    script = (PAGE / "script.js").read_text(encoding="utf-8")
    return render(
        "page.html",
        title=TITLE,
        answer=does_it_hold(report.claims),
        lead=LEAD,
        style=Markup(style),
        script=Markup(script),
        summary=summary(report.sections),
        verdicts=claims.counts(report.claims),
        settings=[section.setting for section in report.sections],
        parts=_parts(report, results, entries, page_folder),
    )


def _parts(
    report: ReportInputs, results: Path, entries: Sequence[Entry], page_folder: Path
) -> list[tuple[str, str, Markup]]:
    """(id, heading, content) of each part."""
    tables = {name: table(made) for name, made, _ in report.tables()}
    curves = _join(figure_sections.training(s) for s in report.sections)
    return [
        ("leaderboard", "Leaderboard: all data sets and seeds",
         leaderboard(entries, page_folder)),
        ("claims", "The paper's claims", claims.ledger(report.claims)),
        ("accuracy", "Accuracy (Table I)",
         tables["table_1"] + _join(figure_sections.differences(s) for s in report.sections)),
        ("protocols", "What sampled ranking hides",
         _join(figure_sections.protocols(s) for s in report.sections)),
        ("diversity", "Diversity and fairness (Table II)",
         tables["table_2"] + _join(figure_sections.fairness(s) for s in report.sections)),
        ("cost", "Cost (Table III)",
         tables["table_3"] + _join(figure_sections.cost(s) for s in report.sections)),
        ("ablation", "What each component adds (Tables IV and V)",
         tables["table_4"] + _join(figure_sections.ablation(a) for a in report.ablations)
         + tables["table_5"]),
        ("training", "Training",
         curves or Markup("<p>No run record holds the validation scores of its epochs.</p>")),
        ("people", "Recommendations and their reasons", recommendations(results)),
        ("faithfulness", "Do the reasons cite what the model goes by?", faithfulness(results)),
        ("learning", "Learning from each event", replay(results)),
        ("runs", "Every run", provenance(report.records, report.sections, page_folder)),
    ]  # fmt: skip


def _join(figures: Iterable[Markup]) -> Markup:
    return Markup("").join(figures)
