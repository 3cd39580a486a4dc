"""Every quantitative or comparative claim of the paper, each worked out from its own numbers.

What the tables print is read from their CSVs. What the abstract and the text say is written here,
since no CSV holds it: the abstract's two headline figures, its word on efficiency, and the order in
which the text ranks two components.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from llm4rec_recbole.analysis.paper import paper_methods
from llm4rec_recbole.analysis.paper.paper_numbers import NAMES, Gain, compounded, gain, per_cent

Tables = dict[str, dict[tuple[str, str], str]]  # "table_1" -> (row, column) -> as printed

_ABLATED = "ml-25m"  # the data set of Tables IV and V
OURS, IMPROVE = "Ours", "Improve."
METRICS = {"hit@5": "HR@5", "hit@10": "HR@10", "ndcg@5": "NDCG@5", "ndcg@10": "NDCG@10"}
TABLE_2 = {
    "intra_list_diversity": "intra-list diversity",
    "coverage@100": "coverage@100",
    "novelty": "novelty",
    "fairness": "fairness",
}
#: Row of Table V -> the rows of Table IV that it compares: with the component, and without.
STEPS = {
    "Multimodal Fusion": ("+ Multimodal Fusion", "Baseline (GenRec)"),
    "Retrieval Augment.": ("+ Retrieval Augment.", "+ Multimodal Fusion"),
    "Causal Debiasing": ("+ Causal Debiasing", "+ Retrieval Augment."),
    "Explainability": ("+ Explainability", "+ Causal Debiasing"),
    "Adaptive Learning": ("+ Adaptive Learning", "+ Explainability"),
    "Synergistic Effect": ("Full Framework", "+ Adaptive Learning"),
}
ABSTRACT_NDCG, ABSTRACT_DIVERSITY = "+2.3%", "+1.4%"


@dataclass(frozen=True)
class Test:
    """The comparisons of Table IV or V that a claim rests on."""

    table: str
    method: str
    baseline: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """What the paper says, and what its own printed numbers make of it."""

    key: str
    where: str
    says: str
    recomputed: str = ""  # in words, from the CSVs
    holds: bool | None = None  # by the paper's own numbers; None: they do not tell
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
    """All claims, in the order of the paper: abstract, Tables I to V, text."""
    return [
        *_abstract(paper),
        *_everywhere(paper),
        *_improvements(paper),
        *_levels(paper),
        *_agreement(paper),
        *_steps(paper),
        *_contributions(paper),
        _whole(paper, "hit@10"),
        _whole(paper, "ndcg@10"),
        _whole_diversity(paper),
        _order(paper),
    ]


def baselines(table: dict[tuple[str, str], str], column: str) -> dict[str, Decimal]:
    """The baselines' numbers in a column of Tables I to III."""
    return {
        row: Decimal(cell)
        for (row, its_column), cell in table.items()
        if its_column == column and row not in (OURS, IMPROVE)
    }


def _improvement(table: dict[tuple[str, str], str], column: str) -> tuple[Gain, str]:
    """Ours over the best baseline, and that baseline's name."""
    others = baselines(table, column)
    best = max(others, key=others.__getitem__)
    return gain(table[OURS, column], table[best, column]), best


def _abstract(paper: Tables) -> Iterator[Claim]:
    columns = [c for row, c in paper["table_1"] if row == OURS and c.endswith("/ndcg@10")]
    names = {c: NAMES[c.split("/")[0]] for c in columns}
    yield _headline(paper["table_1"], columns, names, ABSTRACT_NDCG, "NDCG@10", ("ndcg@10",))
    yield _headline(
        paper["table_2"], list(TABLE_2), TABLE_2, ABSTRACT_DIVERSITY, "diversity",
        tuple(ours for column, ours in _OUR_NAMES.items() if column != "fairness"),
    )  # fmt: skip
    yield _efficiency(paper["table_3"])


def _headline(
    table: dict[tuple[str, str], str],
    columns: list[str],
    names: dict[str, str],
    figure: str,
    subject: str,
    measured_by: tuple[str, ...],
) -> Claim:
    """A figure of the abstract is the largest gain of its kind, and comes from where it is printed.

    Fairness is no diversity, but it is where the second figure is printed.
    """
    gains = {c: _improvement(table, c)[0] for c in columns}
    of_its_kind = [c for c in columns if c != "fairness"]
    largest = max(of_its_kind, key=lambda c: gains[c].percent)
    printed = [c for c in columns if table[IMPROVE, c] == figure]
    recomputed = f"at most {gains[largest]}, {names[largest]}"
    recomputed += "".join(f"; printed for {names[c]}, which gives {gains[c]}" for c in printed)
    return Claim(
        f"abstract {subject}", "Abstract", f"{figure} in {subject}", recomputed,
        gains[largest].equals(figure), any(gains[c].allows(figure) for c in printed or [largest]),
        metrics=measured_by, gains=dict.fromkeys(measured_by, figure),
        needs="" if len(measured_by) == 1 else "it does not say which measure is meant",
    )  # fmt: skip


def _efficiency(table: dict[tuple[str, str], str]) -> Claim:
    """Efficient is taken to mean: no costlier than half of the baselines."""
    worse = {}
    for column in ("inference_time_ms", "memory_gb"):
        others = baselines(table, column)
        worse[column] = sum(Decimal(table[OURS, column]) > value for value in others.values())
    return Claim(
        "abstract efficiency", "Abstract, Table III", "maintains computational efficiency",
        f"slower than {worse['inference_time_ms']} of {len(others)} baselines "
        f"({table[OURS, 'inference_time_ms']} ms), more memory than {worse['memory_gb']}",
        all(2 * number <= len(others) for number in worse.values()),
        cost=True, needs="a matter of hardware and scale, which are not the paper's here",
    )  # fmt: skip


def _everywhere(paper: Tables) -> Iterator[Claim]:
    """Tables I and II print a gain over the baselines in every column."""
    in_table_1 = [column for row, column in paper["table_1"] if row == OURS]
    names_1 = {c: f"{NAMES[c.split('/')[0]]} {METRICS[c.split('/')[1]]}" for c in in_table_1}
    metrics_1 = tuple(dict.fromkeys(column.split("/")[1] for column in in_table_1))
    for number, table, names, metrics in (
        ("I", paper["table_1"], names_1, metrics_1),
        ("II", paper["table_2"], TABLE_2, tuple(_OUR_NAMES.values())),
    ):
        gains = {column: _improvement(table, column) for column in names}
        not_above = [
            f"; {names[c]}: {found} over {best}"
            for c, (found, best) in gains.items()
            if found.percent <= 0
        ]
        yield Claim(
            f"everywhere {number}", f"Table {number}, Improve.",
            f"Ours improves on every baseline in all {len(names)} columns",
            f"in {len(names) - len(not_above)} of them" + "".join(not_above), not not_above,
            metrics=metrics,
        )  # fmt: skip


def _improvements(paper: Tables) -> Iterator[Claim]:
    """The rows "Improve." of Tables I and II, against the best baseline of the column."""
    for number, table in (("I", paper["table_1"]), ("II", paper["table_2"])):
        for column in [c for row, c in table if row == IMPROVE]:
            printed = table[IMPROVE, column]
            found, best = _improvement(table, column)
            holds = found.equals(printed)
            recomputed = f"{found} over the best baseline, {best}"
            dataset, _, metric = column.rpartition("/")
            name = f"{NAMES[dataset]} {METRICS[metric]}" if dataset else TABLE_2[column]
            ours = metric if dataset else _OUR_NAMES[column]
            yield Claim(
                f"{number} {column}", f"Table {number}, Improve.", f"{printed} in {name}",
                recomputed if holds else recomputed + _nearest(table, column, printed, best),
                holds, found.allows(printed), dataset, (ours,), {ours: printed},
            )  # fmt: skip


_OUR_NAMES = {
    "intra_list_diversity": "intra_list_diversity@10",
    "coverage@100": "coverage@100",
    "novelty": "novelty@10",
    "fairness": "fairness@10",
}


def _nearest(table: dict[tuple[str, str], str], column: str, printed: str, best: str) -> str:
    """Against which other baseline the printed gain comes out, or nearly."""
    gains = {row: gain(table[OURS, column], table[row, column]) for row in baselines(table, column)}
    row = min(gains, key=lambda r: abs(gains[r].percent - per_cent(printed)))
    return "" if row == best else f"; nearest: {gains[row]} over {row}"


def _levels(paper: Tables) -> Iterator[Claim]:
    for column in [c for row, c in paper["table_1"] if row == OURS]:
        dataset, metric = column.split("/")
        yield Claim(
            f"level {column}", "Table I, Ours",
            f"{METRICS[metric]} {paper['table_1'][OURS, column]} on {NAMES[dataset]}",
            dataset=dataset, metrics=(metric,), level=True,
            needs="the paper publishes no evaluation protocol, and the level depends on it",
        )  # fmt: skip


def _agreement(paper: Tables) -> Iterator[Claim]:
    """Tables I and IV give the same two systems on the same data."""
    for row_4, row_1 in (("Baseline (GenRec)", "GenRec"), ("Full Framework", OURS)):
        for metric in ("hit@10", "ndcg@10"):
            there, here = (
                paper["table_4"][row_4, metric],
                paper["table_1"][row_1, f"ml-25m/{metric}"],
            )
            yield Claim(
                f"IV-I {row_1} {metric}", "Tables I and IV",
                f"{row_4} of Table IV is {row_1} of Table I: {METRICS[metric]} on MovieLens-25M",
                f"{there} in Table IV, {here} in Table I", Decimal(there) == Decimal(here),
                internal=True,
            )  # fmt: skip
    for metric in ("hit@10", "ndcg@10"):
        others = baselines(paper["table_1"], f"ml-25m/{metric}")
        best = max(others, key=others.__getitem__)
        full = paper["table_4"]["Full Framework", metric]
        yield Claim(
            f"IV best {metric}", "Tables I and IV",
            f"the full framework is above every baseline in {METRICS[metric]} on MovieLens-25M",
            f"Full Framework {full} in Table IV, {best} {others[best]} in Table I",
            Decimal(full) > others[best], dataset="ml-25m", metrics=(metric,),
        )  # fmt: skip


def _steps(paper: Tables) -> Iterator[Claim]:
    """Table IV: each row is above the one before in every metric."""
    table = paper["table_4"]
    for name, (after, before) in STEPS.items():
        steps = {m: Decimal(table[after, m]) - Decimal(table[before, m]) for m in METRICS}
        gains = {m: str(gain(table[after, m], table[before, m])) for m in METRICS}
        method, baseline = paper_methods.TABLE_4[after], paper_methods.TABLE_4[before]
        one = method == baseline
        yield Claim(
            f"IV {name}", "Table IV", f"{after} improves on {before} in all four metrics",
            ", ".join(f"{METRICS[m]} {step:+}" for m, step in steps.items()),
            all(step > 0 for step in steps.values()), dataset=_ABLATED, gains=gains,
            test=None if one else Test("table_4", method, baseline, tuple(METRICS)),
            needs="both rows are one configuration, all five components" if one else "",
        )  # fmt: skip


def _contributions(paper: Tables) -> Iterator[Claim]:
    """Table V against the differences between the rows of Table IV."""
    for (name, column), printed in paper["table_5"].items():
        metric = column.removesuffix("_improvement")
        after, before = STEPS[name]
        key = f"V {name} {metric}"
        ours = "intra_list_diversity@10" if metric == "diversity" else metric
        test = Test("table_5", *paper_methods.CONTRIBUTIONS[name], (ours,))
        if metric == "diversity":
            says = f"{name}: {printed} in diversity"
            why = "no printed table says which measure of diversity is meant"
            yield Claim(
                key, "Table V", says, "Table IV has no diversity",
                dataset=_ABLATED, test=test, needs=why,
            )  # fmt: skip
            continue
        found = gain(paper["table_4"][after, metric], paper["table_4"][before, metric])
        yield Claim(
            key, "Table V", f"{name}: {printed} in {METRICS[metric]}",
            f"{found} by Table IV", found.equals(printed), found.allows(printed),
            dataset=_ABLATED, gains={metric: printed}, test=test,
        )  # fmt: skip


def _whole(paper: Tables, metric: str) -> Claim:
    """Table V's contributions together against Table IV's first and last row."""
    column = f"{metric}_improvement"
    parts = compounded([paper["table_5"][name, column] for name in STEPS])
    table = paper["table_4"]
    whole = gain(table["Full Framework", metric], table["Baseline (GenRec)", metric])
    overlap = parts.low <= whole.high and whole.low <= parts.high
    return Claim(
        f"V sum {metric}", "Tables IV and V",
        f"the contributions in {METRICS[metric]} make up the gain of the full framework",
        f"together {parts}, by Table IV {whole}",
        round(parts.percent, 1) == round(whole.percent, 1), overlap, internal=True,
    )  # fmt: skip


def _whole_diversity(paper: Tables) -> Claim:
    """Table V's contributions in diversity against what Ours gains in each measure of Table II.

    Fairness is counted among them: it is where the abstract's "diversity" is printed.
    """
    parts = compounded([paper["table_5"][name, "diversity_improvement"] for name in STEPS])
    table = paper["table_2"]
    wholes = {name: gain(table[OURS, c], table["GenRec", c]) for c, name in TABLE_2.items()}
    return Claim(
        "V sum diversity", "Tables II and V",
        "the contributions in diversity make up a gain of Ours over GenRec in Table II",
        f"together {parts}; {', '.join(f'{name} {whole}' for name, whole in wholes.items())}",
        any(round(parts.percent, 1) == round(whole.percent, 1) for whole in wholes.values()),
        any(parts.low <= w.high and w.low <= parts.high for w in wholes.values()), internal=True,
    )  # fmt: skip


def _order(paper: Tables) -> Claim:
    """Debiasing is above retrieval if Table V has it so in any column and never the other way."""
    table = paper["table_5"]
    first, second = "Causal Debiasing", "Retrieval Augment."
    pairs = {c: (table[first, c], table[second, c]) for row, c in table if row == first}
    differences = [per_cent(a) - per_cent(b) for a, b in pairs.values()]
    shown = ", ".join(
        f"{METRICS.get(c.removesuffix('_improvement'), 'diversity')} {a} against {b}"
        for c, (a, b) in pairs.items()
    )
    return Claim(
        "V order", "Text on the ablation", "causal debiasing contributes more than retrieval",
        f"Table V: {shown}", min(differences) >= 0 < max(differences), dataset=_ABLATED,
        test=Test("table_5", *paper_methods.RANKED, ("hit@10", "ndcg@10")),
    )  # fmt: skip
