"""Tables II and III: numbers of the run records beside those that the paper prints.

Table II   diversity, coverage, novelty and fairness of the recommended lists
Table III  the cost of training and recommending, and the hardware that it was measured on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis.compare import LEVEL, Comparison
from llm4rec_recbole.analysis.fairness_null import NullRange
from llm4rec_recbole.analysis.paper import paper_numbers
from llm4rec_recbole.analysis.paper.paper_methods import METRIC_NAMES, OURS
from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.reporting.tables.render import (
    NONE,
    UNDEFINED,
    Cell,
    Section,
    Table,
    column,
    number,
)
from llm4rec_recbole.reporting.tables.rows import (
    COMMON,
    AccuracySection,
    Row,
    row_key,
    run_notes,
    to_csv_text,
)

Printed = dict[tuple[str, str], str]  # (row label, column) -> as printed


@dataclass(frozen=True)
class Measure:
    """One number of a run: its key in the record, its column in the paper, its display."""

    key: str
    printed: str  # "" where the paper has no such column
    name: str  # with our unit
    paper_name: str  # with the paper's
    decimals: int
    smaller: bool = False  # is better
    null: str = ""  # the part of `Record.fairness_null` whose range gets the next column


@dataclass(frozen=True)
class RecordTable:
    """A table of `measures`; `of` is the part of a record that holds them."""

    name: str
    label: str
    title: str
    of: str  # "beyond_accuracy" or "cost"
    measures: tuple[Measure, ...]

    def build(
        self,
        sections: list[AccuracySection],
        paper: Printed,
        notes: list[str],
        tests: Sequence[Comparison] = (),
    ) -> Table:
        """The table for people: the paper's columns, ours, and the number of seeds.

        `tests` give the marks of ours: the row's method differs from the one it is compared with.
        """
        columns = [("", "Method"), *(("Paper", m.paper_name) for m in self._printed)]
        for m in self.measures:
            columns += [("Ours", m.name), *([("Ours", "shuffled")] if m.null else [])]
        columns.append(("", "Runs"))
        shown = [Section(s.heading, self._cells(s, paper, tests), s.setting) for s in sections]
        return Table(self.name, self.label, self.title, columns, shown, notes)

    def to_csv(self, sections: list[AccuracySection], paper: Printed) -> str:
        """The table for programs: `paper_<column>` as printed, ours by its name in the record.

        A number that a run does not have is "n/a", empty where there is no run.
        """
        names = [f"paper_{m.printed}" for m in self._printed]
        for measure in self.measures:
            names += [measure.key, *([f"{measure.key}_shuffled"] if measure.null else [])]
        rows = []
        for section in sections:
            for row in section.rows:
                values = row_key(section, row)
                for m in self._printed:
                    values[f"paper_{m.printed}"] = _paper(section, row, m, paper) or ""
                for m in self.measures:
                    values[m.key] = self._ours(row, m, decimals=6) or ""
                    if m.null:
                        values[f"{m.key}_shuffled"] = _null_range(row, m.null, decimals=6) or ""
                rows.append(values)
        return to_csv_text(names, rows)

    @property
    def _printed(self) -> list[Measure]:
        """The measures that the paper prints too."""
        return [measure for measure in self.measures if measure.printed]

    def value(self, record: Record, key: str) -> float | None:
        """The record's number under `key`."""
        return getattr(record, self.of)[key]

    def _cells(
        self, section: AccuracySection, paper: Printed, tests: Sequence[Comparison]
    ) -> list[list[Cell]]:
        rows = section.rows
        differ = {
            (test.baseline if test.method == OURS else test.method, test.metric)
            for test in tests
            if (test.dataset, test.protocol) == (section.dataset, section.protocol)
            and test.p_holm < LEVEL
        }
        columns = [[Cell(row.label) for row in rows]]
        for m in self._printed:
            columns.append(column([_paper(section, r, m, paper) for r in rows], smaller=m.smaller))
        for m in self.measures:
            marks = [(row.method, m.key) in differ for row in rows]
            shown = [self._ours(row, m, m.decimals) for row in rows]
            columns.append(column(shown, smaller=m.smaller, marks=marks))
            if m.null:
                columns.append([Cell(_null_range(row, m.null, m.decimals) or NONE) for row in rows])
        columns.append([Cell(row.status) for row in rows])
        return [*map(list, zip(*columns))]

    def _ours(self, row: Row, measure: Measure, decimals: int) -> str | None:
        """Mean over the seeds; "n/a" where a run does not have it; None without a run."""
        if not row.records:
            return None
        mean = mean_over_seeds([self.value(record, measure.key) for record in row.records])
        return UNDEFINED if mean is None else number(mean, decimals)


def _null_range(row: Row, part: str, decimals: int) -> str | None:
    """The range of a part of fairness with shuffled groups, mean over the seeds.

    "n/a" where a run does not have it; None without a run.
    """
    if not row.records:
        return None
    ranges = [record.fairness_null[part] for record in row.records if part in record.fairness_null]
    if len(ranges) < len(row.records):
        return UNDEFINED
    low, high = np.mean(ranges, axis=0)
    return f"{low:.{decimals}f}–{high:.{decimals}f}"


def mean_over_seeds(values: Sequence[float | None]) -> float | None:
    """Mean over the seeds; None where one of them has no value, or there is none."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers and len(numbers) == len(values) else None


def _paper(section: AccuracySection, row: Row, measure: Measure, paper: Printed) -> str | None:
    in_paper = section.dataset in paper_numbers.STANDS_FOR
    return paper.get((row.printed_as, measure.printed)) if in_paper else None


def _beyond(key: str, printed: str = "", paper_name: str = "", null: str = "") -> Measure:
    return Measure(key, printed, METRIC_NAMES[key], paper_name, 3, null=null)


TABLE_2 = RecordTable(
    name="Table II",
    label="tab:diversity",
    title="Diversity and fairness: the paper's numbers and ours",
    of="beyond_accuracy",
    measures=(
        _beyond("intra_list_diversity@10", "intra_list_diversity", "ILD"),
        _beyond("coverage@100", "coverage@100", "Cov@100"),
        _beyond("novelty@10", "novelty", "Novelty"),
        _beyond("fairness@10", "fairness", "Fairness"),
        _beyond("coverage@10"),
        _beyond("user_fairness@10", null="users"),
        _beyond("item_exposure@10", null="items"),
    ),
)
TABLE_3 = RecordTable(
    name="Table III",
    label="tab:cost",
    title="Cost: the paper's numbers and ours",
    of="cost",
    measures=(
        Measure("train_seconds", "training_time_hours", "Training, s", "Training, h", 1, True),
        Measure("inference_ms_per_user", "inference_time_ms", "ms/user", "Inference, ms", 3, True),
        Measure("peak_memory_gb", "memory_gb", "Memory, GiB", "Memory, GB", 2, True),
        Measure("model_size_mb", "model_size_mb", "Model, MiB", "Model, MB", 1, True),
        Measure("energy_wh", "", "Energy, Wh (estimate)", "", 3, True),
        Measure("co2e_g", "", "CO2e, g (estimate)", "", 3, True),
    ),
)


def notes_2(
    sections: list[AccuracySection],
    tests: Sequence[Comparison],
    null_ranges: Sequence[NullRange] = (),
) -> list[str]:
    """The caption of Table II: what each column measures, since the paper does not say."""
    return [
        "Paper: as printed. The paper gives no formulas, and one set of numbers for three data "
        "sets. A number of the paper and one of ours need not measure the same thing.",
        "All lie between 0 and 1, more is better. Lists: full ranking without seen items.",
        "ILD@10: mean cosine distance between the categories of two of the first ten items. "
        "Cov@100: share of the catalogue that occurs in any user's first hundred; few users can "
        "cover only part of it. Novelty@10: mean self-information of the first ten, from the "
        "number of training users of an item, 1 where there is only one. Fairness@10: the mean of "
        "two parts, which are shown apart. Users@10: the equality of NDCG@10 between groups of "
        "users (gender, age, occupation). Items@10: the equality of exposure between categories "
        "of items. Where only one part is defined, Fairness@10 is that part. shuffled: the middle "
        "95 % of the values of a part when groups or categories are shuffled.",
        *_fairness_parts(sections),
        "n/a: the data set has neither categories nor two groups of users.",
        "More is not better by itself: random lists are diverse and novel, and cover everything.",
        *_random_groups(sections, null_ranges),
        *_tested(sections, tests),
        *COMMON,
        *run_notes(sections),
    ]


def _fairness_parts(sections: list[AccuracySection]) -> list[str]:
    """Which part of fairness is undefined, by setting, and where that differs between runs."""
    sentences = []
    for section in sections:
        recorded = {record.fairness_of for row in section.rows for record in row.records}
        recorded.discard(frozenset())  # older records lack the parts
        if len(recorded) > 1:
            named = "; ".join(sorted(", ".join(sorted(parts)) for parts in recorded))
            sentences.append(
                f"{section.setting}: Fairness@10 has different parts in different runs: {named}."
            )
        elif recorded:
            (parts,) = recorded
            if not parts - {"category"}:
                missing, left = "two groups of users", "items"
            elif "category" not in parts:
                missing, left = "categories of items", "users"
            else:
                continue
            alone = f"Fairness@10 is the {left}' part alone"
            sentences.append(f"{section.setting}: no {missing} are known; {alone}.")
    return sentences


def _random_groups(sections: list[AccuracySection], null_ranges: Sequence[NullRange]) -> list[str]:
    """Whether the users' part of fairness differs from its range with random groups.

    Only runs that the table shows count. A setting without a range gets no sentence.
    """
    sentences = []
    for section in sections:
        shown = {row.method for row in section.rows if row.records}
        runs = [r for r in null_ranges if (r.dataset, r.protocol) == (section.dataset,
                section.protocol) and r.method in shown]  # fmt: skip
        if not runs:
            continue
        methods = {run.method for run in runs}
        below = sorted({run.method for run in runs if run.users_part < run.low})
        named = f" ({', '.join(below)})" if below else ""
        measured, lows, highs = (
            [getattr(r, k) for r in runs] for k in ("users_part", "low", "high")
        )
        sentences.append(
            f"{section.setting}: the users' part of Fairness@10 is {min(measured):.2f} to "
            f"{max(measured):.2f}. With groups assigned to the {section.users} users at random it "
            f"is {min(lows):.2f} to {max(highs):.2f} (95 % of {runs[0].shuffles} shuffles, by "
            f"method). It is below its method's range for {len(below)} of {len(methods)} "
            f"methods{named}. For the others it is no further from 1 than chance puts it."
        )
    return sentences


def _tested(sections: list[AccuracySection], tests: Sequence[Comparison]) -> list[str]:
    claims = [test for test in tests if test.table == "table_2"]
    further = [test for test in tests if test.table == "table_2_further"]
    missing = [
        f"{section.setting}: {METRIC_NAMES[measure.key]}{left_out}"
        for section in sections
        for measure in TABLE_2.measures
        if (left_out := _untested(section, measure.key, claims)) is not None
    ]
    method = f"p < {LEVEL:g}: paired t test over users, Holm-adjusted over the"
    z_test = (
        "Cov@100 and Fairness@10 are numbers of a whole run. There it is a z test whose standard "
        "error comes from exchanging the two methods' lists for random users."
    )
    marks = []
    if claims:
        marks.append(
            f"*: {OURS} differs from this row, {method} {len(claims)} comparisons of {OURS} with "
            f"the paper's five baselines and with the best reference of Table I. {z_test}"
        )
    if further:
        marks.append(
            "* in a row that this project does not have: differs from the baseline or reference "
            f"with the highest validation NDCG@10, {method} {len(further)} comparisons of such "
            "rows."
        )
    return [*marks, *([f"Not tested: {'; '.join(missing)}."] if missing else [])]


def _untested(section: AccuracySection, metric: str, claims: Sequence[Comparison]) -> str | None:
    """Which of the compared methods lack a test of `metric`; "" for all; None for none."""
    setting = (section.dataset, section.protocol)
    compared = {c.baseline for c in claims if (c.dataset, c.protocol) == setting}
    made = {c.baseline for c in claims if (c.dataset, c.protocol, c.metric) == (*setting, metric)}
    numbered = [
        row.method
        for row in section.rows
        if row.method in compared
        and any(record.beyond_accuracy[metric] is not None for record in row.records)
    ]
    left_out = [method for method in numbered if method not in made]
    if not made:
        return "" if left_out else None
    return f" of {', '.join(left_out)}" if left_out else None


def notes_3(sections: list[AccuracySection]) -> list[str]:
    """The caption of Table III: what was timed, and on which hardware."""
    return [
        "Paper: as printed, on the authors' hardware and at their scale: their columns and ours "
        "can be compared for order only.",
        *_hardware(sections),
        "Training: wall-clock seconds until early stopping, validation included. ms/user: scoring "
        "every item for a user. It is the median over batches after a warm-up, the time of a batch "
        "over its users. Some models divide a batch further. On a CPU another run may have used "
        "the next core at the same time, as in make repro. Memory: the peak of the device on a "
        "GPU; on a CPU that of the whole process, data, Python and torch included. Model: "
        "parameters, buffers and fitted matrices.",
        *_energy(sections),
        *COMMON,
        *run_notes(sections),
    ]


def _energy(sections: list[AccuracySection]) -> list[str]:
    """How the energy was estimated, and why cells are empty."""
    records = [record for section in sections for row in section.rows for record in row.records]
    missing = sorted({record.energy_missing or "made before it was recorded" for record in records
                      if record.cost["energy_wh"] is None})  # fmt: skip
    text = (
        "Energy and CO2e are estimates by CodeCarbon of the process's share of the machine, for "
        "training and for ranking the test users. A virtual machine shows no counters of energy: "
        "there the processor's power is assumed. The record names the method and the country "
        "whose electricity mix was taken."
    )
    return [text, *([f"Energy n/a: {'; '.join(missing)}."] if missing else [])]


def _hardware(sections: list[AccuracySection]) -> list[str]:
    """One sentence for each set-up of the runs; with several, each names its methods."""
    methods: dict[str, list[str]] = {}
    for section in sections:
        for row in section.rows:
            for record in row.records:
                made = record.provenance
                batch = record.cost["inference_batch_size"]
                users = "a batch size not recorded" if batch is None else f"batches of {batch:g}"
                key = (
                    f"{made['hardware']} ({made['device']}), {made['threads']} torch threads; "
                    f"torch {made['torch']}, Python {made['python']}; asked for {users} users"
                )
                named = methods.setdefault(key, [])
                if row.method not in named:
                    named.append(row.method)
    if len(methods) == 1:
        return [f"Measured on {key}." for key in methods]
    sentences = [f"Measured on {key}: {', '.join(named)}." for key, named in methods.items()]
    warning = "Not all runs were made on the same hardware and software; do not compare across."
    return [warning, *sentences] if sentences else []
