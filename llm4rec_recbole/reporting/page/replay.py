"""The results of `llm4rec replay`: four update rules on a stream of held-out interactions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.reporting.page import model_outputs
from llm4rec_recbole.reporting.page.render import table
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table

KIND = "replay"
KEYS = (
    "score", "difference", "low", "high", "old_before", "old_after", "forgetting", "ms_per_update",
    "selected",
)  # fmt: skip
COLUMNS = (
    "NDCG@10",
    "Difference to frozen, 95 %",
    "On old data",
    "Forgetting",
    "ms/update",
    "Moved",
)
NOTES = [
    "Each held-out interaction is first ranked among all items, then learned, in time order. "
    "NDCG@10 is measured before learning and averaged over users. All rules start from the same "
    "trained model and see the whole earlier history of each user.",
    "frozen: no updates. sgd: updates every parameter. selective: the paper's selective updates, "
    "Eqs. (29) and (30). ewc: elastic weight consolidation, Eq. (33).",
    "Difference to frozen: paired over users, with a 95 % bootstrap interval. On old data: NDCG@10 "
    "of each user's last training item, before and after the stream; forgetting is the loss. "
    "Moved: share of the trainable numbers that an update changed.",
]


def replay(results: Path) -> Markup:
    """Return a table with a section for each model with a file. Raises InputError for a bad one."""
    answers = model_outputs.read(results, KIND)
    if not answers:
        return model_outputs.none_of(KIND, "replay")
    sections = [_section(answer) for answer in answers]
    columns = [("", name) for name in ("", *COLUMNS)]
    return table(Table("Replay", "tab:replay", "Test, then learn", columns, sections, NOTES))


def _section(answer: model_outputs.Answer) -> Section:
    content = answer.content if isinstance(answer.content, dict) else {}
    rules = content.get("rules")
    if not isinstance(rules, dict) or not {"events", "users"} <= set(content):
        raise InputError("no record of a replay", file=answer.path, hint="make it again")
    heading = (
        f"{answer.setting}: {answer.who}, {content['events']} events of {content['users']} users"
    )
    rows = [
        [Cell(name), *map(Cell, cells(model_outputs.numbers(rule, KEYS, answer.path)))]
        for name, rule in rules.items()
    ]
    return Section(heading, rows, answer.setting)


def cells(values: Mapping[str, float]) -> list[str]:
    """Return the results of one update rule as text, one for each of COLUMNS."""
    return [
        f"{values['score']:.4f}",
        f"{values['difference']:+.4f} [{values['low']:+.4f}, {values['high']:+.4f}]",
        f"{values['old_before']:.4f} → {values['old_after']:.4f}",
        f"{values['forgetting']:+.4f}",
        f"{values['ms_per_update']:.1f}",
        f"{100 * values['selected']:.1f} %",
    ]
