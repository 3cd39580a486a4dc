"""Works out every claim of claims.yaml from the paper's own printed numbers.

claims.yaml says what the paper claims; the tables' numbers come from paper_tables/printed. A rule
here is a function that turns one entry into one or several claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import (
    DATASET_NAMES,
    METRIC_NAMES,
    Gain,
    Printed,
    compounded,
    gain,
    per_cent,
)

Tables = dict[str, Printed]  # "table_1" -> …
Entry = dict[str, Any]  # of claims.yaml

FILE = Path(__file__).with_name("claims.yaml")
ABLATED = "ml-25m"  # the data set of Tables IV and V
OURS, IMPROVE, GENREC = "Ours", "Improve.", "GenRec"
FULL = "Full Framework"
BASELINE = "Baseline (GenRec)"
#: Columns of Table II: their names in sentences, and our metrics.
TABLE_2 = {
    "intra_list_diversity": "intra-list diversity",
    "coverage@100": "coverage@100",
    "novelty": "novelty",
    "fairness": "fairness",
}
TABLE_2_METRICS = {
    "intra_list_diversity": "intra_list_diversity@10",
    "coverage@100": "coverage@100",
    "novelty": "novelty@10",
    "fairness": "fairness@10",
}
ACCURACY = ("hit@5", "hit@10", "ndcg@5", "ndcg@10")  # the columns of Table IV


@dataclass(frozen=True)
class Test:
    """The comparisons of Table IV or V that a claim rests on."""

    table: str
    method: str
    baseline: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """What the paper says, and what follows from its own printed numbers."""

    key: str
    where: str
    says: str
    recomputed: str = ""  # in words, from the CSVs
    holds: bool | None = None  # by the paper's own numbers; None: they do not decide it
    rounding: bool = False  # may be why it does not hold
    dataset: str = ""  # the paper's, where the claim is about one
    metrics: tuple[str, ...] = ()  # by which our runs measure it: Ours against the best baseline
    gains: dict[str, str] = field(default_factory=dict)  # printed, in per cent, by metric of ours
    level: bool = False  # measured by Ours alone
    cost: bool = False  # measured by what Ours costs beside the baselines
    test: Test | None = None  # by which our runs measure it, where it is about the components
    internal: bool = False  # about the paper's own tables only
    needs: str = ""  # why no run of ours can test it


def paper_claims(paper: Tables) -> list[Claim]:
    """All claims, in the order of claims.yaml."""
    import yaml

    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [claim for entry in entries for claim in RULES[entry["rule"]](paper, entry)]


def baselines(table: Printed, column: str) -> dict[str, Decimal]:
    """The baselines' numbers in a column of Tables I to III."""
    return {
        row: Decimal(cell)
        for (row, its_column), cell in table.items()
        if its_column == column and row not in (OURS, IMPROVE)
    }


def _claim(entry: Entry, values: dict[str, Any], *derived: Any, **fields: Any) -> Claim:
    """A claim with the entry's texts, in which `values` fill the names in braces."""
    texts = (entry[name].format(**values) for name in ("key", "where", "says"))
    return Claim(*texts, *derived, **fields)


def _improvement(table: Printed, column: str) -> tuple[Gain, str]:
    """Ours over the best baseline, and that baseline's name."""
    others = baselines(table, column)
    best = max(others, key=others.__getitem__)
    return gain(table[OURS, column], table[best, column]), best


def _column_name(column: str) -> str:
    dataset, _, metric = column.rpartition("/")
    return f"{DATASET_NAMES[dataset]} {METRIC_NAMES[metric]}" if dataset else TABLE_2[column]


def _headline(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """A figure of the abstract is the largest gain of its kind, and it is printed somewhere."""
    table, figure, metrics = paper[entry["table"]], entry["figure"], tuple(entry["metrics"])
    if "metric" in entry:  # of Table I: a gain for each data set
        columns = [c for row, c in table if row == OURS and c.endswith(f"/{entry['metric']}")]
        names = {column: DATASET_NAMES[column.split("/")[0]] for column in columns}
    else:
        columns, names = list(TABLE_2), TABLE_2
    gains = {c: _improvement(table, c)[0] for c in columns}
    candidates = [c for c in columns if c not in entry.get("not_its_kind", ())]
    largest = max(candidates, key=lambda c: gains[c].percent)
    printed = [c for c in columns if table[IMPROVE, c] == figure]
    recomputed = f"at most {gains[largest]}, {names[largest]}"
    recomputed += "".join(f"; printed for {names[c]}, which gives {gains[c]}" for c in printed)
    rounding = any(gains[c].allows(figure) for c in printed or [largest])
    yield _claim(
        entry, {"figure": figure}, recomputed, gains[largest].equals(figure), rounding,
        metrics=metrics, gains=dict.fromkeys(metrics, figure), needs=entry.get("needs", ""),
    )  # fmt: skip


def _efficiency(paper: Tables, entry: Entry) -> Iterator[Claim]:
    table, worse = paper["table_3"], {}
    for column in ("inference_time_ms", "memory_gb"):
        others = baselines(table, column)
        worse[column] = sum(Decimal(table[OURS, column]) > value for value in others.values())
    yield _claim(
        entry, {}, f"slower than {worse['inference_time_ms']} of {len(others)} baselines "
        f"({table[OURS, 'inference_time_ms']} ms), more memory than {worse['memory_gb']}",
        all(2 * number <= len(others) for number in worse.values()),
        cost=True, needs=entry["needs"],
    )  # fmt: skip


def _above_all(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """Table I or II prints a gain over the baselines in every column."""
    table = paper[entry["table"]]
    names = {column: _column_name(column) for row, column in table if row == OURS}
    gains = {column: _improvement(table, column) for column in names}
    not_above = [
        f"; {names[column]}: {change} over {best}"
        for column, (change, best) in gains.items()
        if change.percent <= 0
    ]
    yield _claim(
        entry, {"columns": len(names)},
        f"in {len(names) - len(not_above)} of them" + "".join(not_above), not not_above,
        metrics=tuple(dict.fromkeys(TABLE_2_METRICS.get(c, c.split("/")[-1]) for c in names)),
    )  # fmt: skip


def _improvements(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """The row "Improve." of Table I or II, against the best baseline of the column."""
    table = paper[entry["table"]]
    for column in [c for row, c in table if row == IMPROVE]:
        printed = table[IMPROVE, column]
        change, best = _improvement(table, column)
        holds = change.equals(printed)
        recomputed = f"{change} over the best baseline, {best}"
        dataset, _, metric = column.rpartition("/")
        ours = metric if dataset else TABLE_2_METRICS[column]
        yield _claim(
            entry, {"column": column, "printed": printed, "name": _column_name(column)},
            recomputed if holds else recomputed + _nearest(table, column, printed, best),
            holds, change.allows(printed), dataset, (ours,), {ours: printed},
        )  # fmt: skip


def _nearest(table: Printed, column: str, printed: str, best: str) -> str:
    """The other baseline against which the printed gain comes out, or nearly."""
    gains = {row: gain(table[OURS, column], table[row, column]) for row in baselines(table, column)}
    row = min(gains, key=lambda r: abs(gains[r].percent - per_cent(printed)))
    return "" if row == best else f"; nearest: {gains[row]} over {row}"


def _levels(paper: Tables, entry: Entry) -> Iterator[Claim]:
    table = paper["table_1"]
    for column in [c for row, c in table if row == OURS]:
        dataset, metric = column.split("/")
        values = {
            "column": column,
            "metric": METRIC_NAMES[metric],
            "dataset": DATASET_NAMES[dataset],
        }
        yield _claim(
            entry, values | {"printed": table[OURS, column]},
            dataset=dataset, metrics=(metric,), level=True, needs=entry["needs"],
        )  # fmt: skip


def _same_system(paper: Tables, entry: Entry) -> Iterator[Claim]:
    for row_4, row_1 in entry["rows"].items():
        for metric in entry["metrics"]:
            in_table_4 = paper["table_4"][row_4, metric]
            in_table_1 = paper["table_1"][row_1, f"{ABLATED}/{metric}"]
            values = {"row_4": row_4, "row_1": row_1, "metric": metric}
            yield _claim(
                entry, values | {"metric_name": METRIC_NAMES[metric]},
                f"{in_table_4} in Table IV, {in_table_1} in Table I",
                Decimal(in_table_4) == Decimal(in_table_1), internal=True,
            )  # fmt: skip


def _above_baselines(paper: Tables, entry: Entry) -> Iterator[Claim]:
    for metric in entry["metrics"]:
        others = baselines(paper["table_1"], f"{ABLATED}/{metric}")
        best = max(others, key=others.__getitem__)
        full = paper["table_4"][FULL, metric]
        yield _claim(
            entry, {"metric": metric, "metric_name": METRIC_NAMES[metric]},
            f"{FULL} {full} in Table IV, {best} {others[best]} in Table I",
            Decimal(full) > others[best], dataset=ABLATED, metrics=(metric,),
        )  # fmt: skip


def _steps(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """Table IV: each row is above the one before in every metric."""
    table = paper["table_4"]
    for name, (after, before) in entry["rows"].items():
        steps = {m: Decimal(table[after, m]) - Decimal(table[before, m]) for m in ACCURACY}
        gains = {m: str(gain(table[after, m], table[before, m])) for m in ACCURACY}
        method, baseline = paper_tables.TABLE_4[after], paper_tables.TABLE_4[before]
        one = after == FULL  # the same as + Adaptive Learning, as the paper defines it
        yield _claim(
            entry, {"name": name, "after": after, "before": before},
            ", ".join(f"{METRIC_NAMES[m]} {step:+}" for m, step in steps.items()),
            all(step > 0 for step in steps.values()), dataset=ABLATED, gains=gains,
            test=None if one else Test("table_4", method, baseline, ACCURACY),
            needs=entry["needs"] if one else "",
        )  # fmt: skip


def _contributions(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """Table V against the differences between the rows of Table IV."""
    for (name, column), printed in paper["table_5"].items():
        metric = column.removesuffix("_improvement")
        after, before = entry["rows"][name]
        ours = "intra_list_diversity@10" if metric == "diversity" else metric
        test = Test("table_5", *paper_tables.CONTRIBUTIONS[name], (ours,))
        values = {"name": name, "printed": printed, "metric": metric}
        values["metric_name"] = METRIC_NAMES.get(metric, metric)
        if metric == "diversity":
            yield _claim(entry, values, "Table IV has no diversity", dataset=ABLATED, test=test,
                         needs=entry["needs"])  # fmt: skip
            continue
        change = gain(paper["table_4"][after, metric], paper["table_4"][before, metric])
        yield _claim(
            entry, values, f"{change} by Table IV", change.equals(printed), change.allows(printed),
            dataset=ABLATED, gains={metric: printed}, test=test,
        )  # fmt: skip


def _sum_of_contributions(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """Table V's contributions together against Table IV's first and last row."""
    for metric in entry["metrics"]:
        column = f"{metric}_improvement"
        parts = compounded([paper["table_5"][name, column] for name in entry["rows"]])
        table = paper["table_4"]
        total = gain(table[FULL, metric], table[BASELINE, metric])
        overlap = parts.low <= total.high and total.low <= parts.high
        yield _claim(
            entry, {"metric": metric, "metric_name": METRIC_NAMES[metric]},
            f"together {parts}, by Table IV {total}",
            round(parts.percent, 1) == round(total.percent, 1), overlap, internal=True,
        )  # fmt: skip


def _sum_in_diversity(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """Table V's contributions in diversity against the gain of Ours in each column of Table II."""
    parts = compounded([paper["table_5"][name, "diversity_improvement"] for name in entry["rows"]])
    table = paper["table_2"]
    totals = {name: gain(table[OURS, c], table[GENREC, c]) for c, name in TABLE_2.items()}
    yield _claim(
        entry, {}, f"together {parts}; {', '.join(f'{name} {w}' for name, w in totals.items())}",
        any(round(parts.percent, 1) == round(total.percent, 1) for total in totals.values()),
        any(parts.low <= w.high and w.low <= parts.high for w in totals.values()), internal=True,
    )  # fmt: skip


def _order(paper: Tables, entry: Entry) -> Iterator[Claim]:
    """The first row is above the second in some column of Table V and below it in none."""
    table = paper["table_5"]
    first, second = entry["rows"]
    pairs = {c: (table[first, c], table[second, c]) for row, c in table if row == first}
    differences = [per_cent(a) - per_cent(b) for a, b in pairs.values()]
    listed = ", ".join(
        f"{METRIC_NAMES.get(c.removesuffix('_improvement'), 'diversity')} {a} against {b}"
        for c, (a, b) in pairs.items()
    )
    yield _claim(
        entry, {}, f"Table V: {listed}", min(differences) >= 0 < max(differences), dataset=ABLATED,
        test=Test("table_5", *paper_tables.RANKED, ("hit@10", "ndcg@10")),
    )  # fmt: skip


RULES: dict[str, Callable[[Tables, Entry], Iterator[Claim]]] = {
    "headline": _headline,
    "efficiency": _efficiency,
    "above_all": _above_all,
    "improvements": _improvements,
    "levels": _levels,
    "same_system": _same_system,
    "above_baselines": _above_baselines,
    "steps": _steps,
    "contributions": _contributions,
    "sum_of_contributions": _sum_of_contributions,
    "sum_in_diversity": _sum_in_diversity,
    "order": _order,
}
