"""What trained models gave beyond rankings: explanations, their faithfulness, online updates.

Each is read from results/<kind>/<data set>/<protocol>/<method>/seed_<k>.json and becomes a part of
the page. The commands `llm4rec showcase`, `faithfulness` and `replay` write the files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from string import Formatter
from typing import Any

from markupsafe import Markup

from llm4rec_recbole.analysis.sentences import SentenceQuality, quality
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import read_json
from llm4rec_recbole.reporting.page.render import render, table
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table


@dataclass(frozen=True)
class Output:
    """The content of one file, and the run that made it."""

    path: Path
    content: Any

    @property
    def setting(self) -> str:
        """Data set and protocol."""
        return ", ".join(self.path.parts[-4:-2])

    @property
    def who(self) -> str:
        """Method and seed."""
        return f"{self.path.parts[-2]}, {self.path.stem.replace('_', ' ')}"


def _read(results: Path, kind: str) -> list[Output]:
    """Every file of a kind, by name. Raises InputError for one that is not JSON, or holds NaN."""
    paths = sorted((results / kind).glob("*/*/*/seed_*.json"))
    return [Output(path, read_json(path)) for path in paths]


def _numbers(content: Any, columns: Mapping[str, str], path: Path) -> dict[str, float]:
    """The numbers of `content` that the formats in `columns` name. Raises InputError where one is
    missing."""
    entries = content if isinstance(content, dict) else {}
    named = (key for text in columns.values() for _, key, *_ in Formatter().parse(text))
    keys = [*dict.fromkeys(filter(None, named))]
    bad = [key for key in keys if type(entries.get(key)) not in (int, float)]
    if bad:
        raise InputError(f"no number for {', '.join(bad)}", file=path, hint="make it again")
    return {key: entries[key] for key in keys}


def _table(
    name: str, title: str, columns: Sequence[str], sections: list[Section], notes: list[str]
) -> Markup:
    return table(Table(name, "", title, [("", column) for column in columns], sections, notes))


def _none_of(kind: str, command: str) -> Markup:
    """The paragraph for a kind without any file."""
    return render("none.html", kind=kind, command=command)


# Recommendations with the sentences that explain them. Each file is a list of entries:
#
#     {"user", "recent_titles": […], "item", "title", "sentence", "claims": […], "written_by",
#      "refused", "refused_claims": […], "problems": […], "template", "evidence"}
#
# A claim is [kind, text, whether the evidence supports it].

LISTS = ("recent_titles", "problems", "claims", "refused_claims")
TEXTS = ("user", "item", "title", "sentence", "written_by", "refused", "template")
ENTRY_KEYS = (*TEXTS, "evidence", *LISTS)
SENTENCE_COLUMNS = (
    "", "Sentences", "distinct-1", "distinct-2", "Reason repeated", "By template", "Claims",
    "Supported",
)  # fmt: skip
SENTENCE_NOTES = [
    "distinct-n: different n-grams of words as a share of all. Reason repeated: share of the "
    "sentences that give the same items, categories, trend and location as another sentence of the "
    "same user's list.",
    "Claims: each title, category, trend, location, liking or description in a sentence. "
    "Supported: the share whose number in the evidence passes its test.",
    "The language model's own: what it wrote before the check, without sentences that do not end. "
    "Its sentence is shown only where every claim is supported and it gives a reason that the "
    "template's sentence lacks.",
]


def recommendations(results: Path) -> Markup:
    """A card for each user: recent titles, recommendations, reasons, and who wrote them.

    Raises InputError naming a bad entry.
    """
    outputs = _read(results, "explanations")
    if not outputs:
        return _none_of("explanations", "showcase")
    sections = [
        {"setting": output.setting, "who": output.who, "users": _users(_checked(output))}
        for output in outputs
    ]
    return _sentence_table(outputs) + render("explanations.html", outputs=sections)


def _sentence_table(outputs: Sequence[Output]) -> Markup:
    """How varied the sentences are, and how much of what they claim is supported."""
    sections = [
        Section(
            f"{output.setting}: {output.who}",
            [_sentence_row(name, row) for name, row in quality(output.content).items()],
            output.setting,
        )
        for output in outputs
    ]
    title = "The sentences that explain recommendations"
    return _table("Sentences", title, SENTENCE_COLUMNS, sections, SENTENCE_NOTES)


def _sentence_row(name: str, row: SentenceQuality) -> list[Cell]:
    shares = (row.repeated, row.by_template, row.supported)
    repeated, by_template, supported = (
        "—" if math.isnan(share) else f"{100 * share:.0f} %" for share in shares
    )
    distinct = [f"{row.distinct_1:.3f}", f"{row.distinct_2:.3f}"]
    counts = [repeated, by_template, str(row.claims), supported]
    return [Cell(text) for text in (name, str(row.sentences), *distinct, *counts)]


def _users(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(user, that user's entries), with writer and evidence in words."""
    rows = [e | {"writer": _writer(e), "evidence": _plain(e["evidence"])} for e in entries]
    return [(user, [*user_rows]) for user, user_rows in groupby(rows, key=lambda e: str(e["user"]))]


def _checked(output: Output) -> list[dict[str, Any]]:
    entries, path = output.content, output.path
    if not isinstance(entries, list):
        raise InputError("not a list of recommendations", file=path)
    for number, entry in enumerate(entries, 1):
        lacking = [k for k in ENTRY_KEYS if not isinstance(entry, dict) or k not in entry]
        if lacking:
            raise InputError(f"recommendation {number} has no {', '.join(lacking)}", file=path)
        for key in TEXTS:
            if not isinstance(entry[key], str):
                raise InputError(f"recommendation {number}: {key} is no text", file=path)
        for key in LISTS:
            if not isinstance(entry[key], list):
                raise InputError(f"recommendation {number}: {key} is no list", file=path)
        claims = entry["claims"] + entry["refused_claims"]
        if not all(_is_claim(claim) for claim in claims):
            message = f"recommendation {number}: a claim is not [kind, text, supported]"
            raise InputError(message, file=path)
    return entries


def _is_claim(value: Any) -> bool:
    """Whether `value` is [kind, text, supported]."""
    return isinstance(value, list) and [type(part) for part in value] == [str, str, bool]


def _writer(entry: dict[str, Any]) -> str:
    """Who wrote the sentence, and why the language model did not."""
    if entry["written_by"] != "template":
        return f"written by {entry['written_by']}"
    why = "; ".join(map(str, entry["problems"]))
    return f"by template (the language model's sentence: {why})" if why else "by template"


def _plain(evidence: Any) -> str:
    """Evidence of any shape in one line."""
    if isinstance(evidence, dict):
        return "; ".join(f"{key} {_plain(value)}" for key, value in evidence.items())
    if isinstance(evidence, list):
        return ", ".join(_plain(value) for value in evidence)
    if isinstance(evidence, float):
        return f"{evidence:.3g}"
    return "none" if evidence is None else str(evidence)


# Whether explanations cite the items that the model's score depends on.

#: Each column, and its cell as a format of the values.
FAITHFULNESS_COLUMNS = {
    "Users": "{users:g}",
    "Left out": "{left_out:g}",
    "Without the cited": "{drop_cited:.3g}",
    "Without popular": "{drop_popular:.3g}",
    "Without random": "{drop_random:.3g}",
    "Cited − popular, 95 %": "{difference_popular:+.3g} [{low_popular:+.3g}, {high_popular:+.3g}]",
    "Cited − random, 95 %": "{difference:+.3g} [{low:+.3g}, {high:+.3g}]",
    "d": "{effect_size:.2f}",
    "p (t)": "{p_t:.2g}",
    "p (randomization)": "{p_randomization:.2g}",
    "Users above 0": "{share_above:.0%}",
}
FAITHFULNESS_NOTES = [
    "Each test user's first recommendation is explained by its template. Without the cited: how "
    "far the item's score falls when the items that the sentence names are erased from the "
    "history. Without popular, without random: the same for as many others of the history, those "
    "that most users chose or some drawn at random.",
    "The differences are in the unit of the model's own scores, with 95 % bootstrap intervals over "
    "users. d, p and users above 0 are of cited − random. More than popular: the interval of "
    "cited − popular does not contain 0.",
    "Left out: users whose sentence names no item, or with fewer other items than named ones.",
]


def faithfulness(results: Path) -> Markup:
    """A table with a row for each model with a file. Raises InputError for a bad file."""
    measured = [
        (output, _numbers(output.content, FAITHFULNESS_COLUMNS, output.path))
        for output in _read(results, "faithfulness")
    ]
    if not measured:
        return _none_of("faithfulness", "faithfulness")
    sections = []
    for setting, setting_outputs in groupby(measured, key=lambda pair: pair[0].setting):
        rows = [_faithfulness_row(output.who, values) for output, values in setting_outputs]
        sections.append(Section(setting, rows, setting))
    title = "The score without the items that explanations cite"
    columns = ("", *FAITHFULNESS_COLUMNS, "More than popular")
    return _table("Faithfulness", title, columns, sections, FAITHFULNESS_NOTES)


def _faithfulness_row(who: str, values: dict[str, float]) -> list[Cell]:
    texts = cells(FAITHFULNESS_COLUMNS, values)
    low, high = values["low_popular"], values["high_popular"]
    more_than_popular = "yes" if low > 0 else "the other way" if high < 0 else "no"
    return [Cell(text) for text in (who, *texts, more_than_popular)]


# Four update rules on a stream of held-out interactions.

#: Each column, and its cell as a format of the values of an update rule.
REPLAY_COLUMNS = {
    "NDCG@10": "{score:.4f}",
    "Difference to frozen, 95 %": "{difference:+.4f} [{low:+.4f}, {high:+.4f}]",
    "On old data": "{old_before:.4f} → {old_after:.4f}",
    "Forgetting": "{forgetting:+.4f}",
    "ms/update": "{ms_per_update:.1f}",
    "Moved": "{selected:.1%}",
}
REPLAY_NOTES = [
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
    outputs = _read(results, "replay")
    if not outputs:
        return _none_of("replay", "replay")
    sections = [_replay_section(output) for output in outputs]
    return _table("Replay", "Test, then learn", ("", *REPLAY_COLUMNS), sections, REPLAY_NOTES)


def _replay_section(output: Output) -> Section:
    content = output.content if isinstance(output.content, dict) else {}
    rules = content.get("rules")
    if not isinstance(rules, dict) or not {"events", "users"} <= set(content):
        raise InputError("no record of a replay", file=output.path, hint="make it again")
    heading = (
        f"{output.setting}: {output.who}, {content['events']} events of {content['users']} users"
    )
    rows = [
        [Cell(name), *map(Cell, cells(REPLAY_COLUMNS, _numbers(rule, REPLAY_COLUMNS, output.path)))]
        for name, rule in rules.items()
    ]
    return Section(heading, rows, output.setting)


def cells(columns: Mapping[str, str], values: Mapping[str, float]) -> list[str]:
    """The texts of a row: the format of each of `columns`, filled with `values`."""
    return [text.format(**values).replace("%", " %") for text in columns.values()]
