"""Whether explanations cite what the model goes by, from what `llm4rec faithfulness` wrote."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from llm4rec_recbole.reporting.page import model_outputs
from llm4rec_recbole.reporting.page.render import table
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table

KIND = "faithfulness"
KEYS = (
    "users", "left_out", "drop_cited", "drop_random", "difference", "low", "high", "effect_size",
    "p_t", "p_randomization", "share_above",
)  # fmt: skip
COLUMNS = (
    "", "Users", "Left out", "Without the cited", "Without others", "Difference, 95 %", "d",
    "p (t)", "p (randomization)", "Users above 0", "More than chance",
)  # fmt: skip
NOTES = [
    "Each test user's first recommendation is explained, by up to three items of the user's "
    "history. Without the cited, without others: how far the item's score falls when the cited "
    "items are erased from the history, and when as many others are, drawn at random.",
    "Difference: the first less the second, in the unit of the model's own scores, with its 95 % "
    "bootstrap interval over users. Above 0, the cited items count for more than others. More than "
    "chance: the interval does not hold 0.",
    "Left out: users with nothing cited, or with fewer other items than cited ones.",
]


def faithfulness(results: Path) -> Markup:
    """A table with a row for each model with a file. Raises InputError for a bad file."""
    measured = [
        (answer, model_outputs.numbers(answer.content, KEYS, answer.path))
        for answer in model_outputs.read(results, KIND)
    ]
    if not measured:
        return model_outputs.none_of(KIND, "faithfulness")
    sections = [
        Section(
            setting,
            [_row(answer.who, values) for answer, values in measured if answer.setting == setting],
            setting,
        )
        for setting in model_outputs.settings([answer for answer, _ in measured])
    ]
    columns = [("", name) for name in COLUMNS]
    title = "The score without the items that explanations cite"
    return table(Table("Faithfulness", "tab:faithfulness", title, columns, sections, NOTES))


def _row(who: str, values: dict[str, float]) -> list[Cell]:
    low, high = values["low"], values["high"]
    texts = [
        who,
        f"{values['users']:g}",
        f"{values['left_out']:g}",
        f"{values['drop_cited']:.3g}",
        f"{values['drop_random']:.3g}",
        f"{values['difference']:+.3g} [{low:+.3g}, {high:+.3g}]",
        f"{values['effect_size']:.2f}",
        f"{values['p_t']:.2g}",
        f"{values['p_randomization']:.2g}",
        f"{100 * values['share_above']:.0f} %",
        "yes" if low > 0 else "the other way" if high < 0 else "no",
    ]
    return [Cell(text) for text in texts]
