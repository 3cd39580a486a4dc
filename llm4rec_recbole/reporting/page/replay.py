"""Four rules of learning from a stream, from what `llm4rec replay` wrote."""

from __future__ import annotations

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
    "Every held-out interaction is ranked among all items first and learned from then, in time "
    "order; NDCG@10 is what was reached before learning, a mean over users. All rules start from "
    "the same model, as training left it, and know of each user all that came before.",
    "frozen: learns nothing. sgd: every parameter. selective: the paper's selective updates, "
    "Eqs. (29) and (30). ewc: held back by what old data need, Eq. (33).",
    "Difference to frozen: paired over users, with its 95 % bootstrap "
    "interval. On old data: NDCG@10 of each user's last training item before and after the stream; "
    "forgetting is what it lost. Moved: share of the learned numbers that an update changed.",
]


def replay(results: Path) -> Markup:
    """A section for each model with a file. Raises InputError for a bad file."""
    answers = model_outputs.read(results, KIND)
    if not answers:
        return model_outputs.none_of(KIND, "replay")
    sections = [_section(answer) for answer in answers]
    columns = [("", name) for name in ("", *COLUMNS)]
    return table(Table("Replay", "tab:replay", "Test, then learn", columns, sections, NOTES))


def _section(answer: model_outputs.Answer) -> Section:
    content = answer.content if isinstance(answer.content, dict) else {}
    rules = content.get("ways")
    if not isinstance(rules, dict) or not {"events", "users"} <= set(content):
        raise InputError("no record of a replay", file=answer.path, hint="make it again")
    heading = (
        f"{answer.setting}: {answer.who}, {content['events']} events of {content['users']} users"
    )
    rows = [
        [Cell(name), *_cells(model_outputs.numbers(rule, KEYS, answer.path))]
        for name, rule in rules.items()
    ]
    return Section(heading, rows, answer.setting)


def _cells(values: dict[str, float]) -> list[Cell]:
    texts = [
        f"{values['score']:.4f}",
        f"{values['difference']:+.4f} [{values['low']:+.4f}, {values['high']:+.4f}]",
        f"{values['old_before']:.4f} → {values['old_after']:.4f}",
        f"{values['forgetting']:+.4f}",
        f"{values['ms_per_update']:.1f}",
        f"{100 * values['selected']:.1f} %",
    ]
    return [Cell(text) for text in texts]
