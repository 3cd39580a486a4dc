"""Writes results/report.html: all that was found, in one file that fetches nothing.

python -m llm4rec_recbole.reporting.page.report --results results --out results/report.html
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from llm4rec_recbole.reporting.figures import svg
from llm4rec_recbole.reporting.inputs import ReportInputs
from llm4rec_recbole.reporting.page import claims, figure_sections, html
from llm4rec_recbole.reporting.page.explanations import recommendations
from llm4rec_recbole.reporting.page.faithfulness import faithfulness
from llm4rec_recbole.reporting.page.provenance import provenance
from llm4rec_recbole.reporting.page.replay import replay
from llm4rec_recbole.reporting.page.summary import summary

PAGE = Path(__file__).parent
TITLE = "LLM4Rec on RecBole: does the paper hold?"
LEAD = (
    "A replication of “LLM4Rec: Large Language Models for Multimodal Generative Recommendation "
    "with Causal Debiasing”. The paper came without code, seeds, variance or an evaluation "
    "protocol; every number of ours below comes from a run record in this repository, every "
    "difference in a metric that each user has is tested on the same users."
)


def page(found: ReportInputs, results: Path) -> str:
    """The whole page. Raises InputError for a bad file of what models were asked."""
    parts = _parts(found, results)
    links = "".join(f'<a href="#{key}">{escape(name)}</a>' for key, name, _ in parts)
    body = "".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(name)}'
        f"</h2>{content}</section>"
        for key, name, content in parts
    )
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    style += svg.STYLE.read_text(encoding="utf-8")
    script = (PAGE / "script.js").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(TITLE)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">To the results</a>\n'
        f'<header class="top"><h1>{escape(TITLE)}</h1><p class="lead">{escape(LEAD)}</p>'
        f"{summary(found.sections)}{claims.counts(found.claims)}"
        f'<nav class="parts" aria-label="Parts of this page">{links}</nav>'
        f"{_settings(found)}</header>\n"
        f'<main id="main">{body}</main>\n<script>\n{script}</script>\n</body>\n</html>\n'
    )


def _parts(found: ReportInputs, results: Path) -> list[tuple[str, str, str]]:
    """(id, heading, content) of each part."""
    tables = {name: html.table(table) for name, table, _ in found.tables()}
    curves = _each(figure_sections.training(s) for s in found.sections)
    return [
        ("accuracy", "Accuracy (Table I)",
         tables["table_1"] + _each(figure_sections.differences(s) for s in found.sections)),
        ("protocols", "What sampled ranking hides",
         _each(figure_sections.protocols(s) for s in found.sections)),
        ("diversity", "Diversity and fairness (Table II)",
         tables["table_2"] + _each(figure_sections.fairness(s) for s in found.sections)),
        ("cost", "Cost (Table III)",
         tables["table_3"] + _each(figure_sections.cost(s) for s in found.sections)),
        ("ablation", "What each component adds (Tables IV and V)",
         tables["table_4"] + _each(figure_sections.ablation(a) for a in found.ablations)
         + tables["table_5"]),
        ("training", "Training",
         curves or "<p>No run record holds the validation scores of its epochs.</p>"),
        ("people", "Recommendations and their reasons", recommendations(results)),
        ("faithfulness", "Do the reasons cite what the model goes by?", faithfulness(results)),
        ("learning", "Learning from each event", replay(results)),
        ("claims", "The paper's claims", claims.ledger(found.claims)),
        ("runs", "Every run", provenance(found.records, found.sections)),
    ]  # fmt: skip


def _each(drawn: Iterable[str]) -> str:
    return "".join(drawn)


def _settings(found: ReportInputs) -> str:
    """Buttons that show one data set and protocol only, where there are several."""
    settings = [section.setting for section in found.sections]
    if len(settings) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-show="{escape(p)}" aria-pressed="false">{escape(p)}</button>'
        for p in settings
    )
    return f'<div class="settings" role="group" aria-label="Show only">{buttons}</div>'
