"""The notes of all tables: groups of rows, seeds, failures, versions; captions of II and III."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper.paper_tables import METRIC_NAMES, NOT_SEARCHED, OURS
from llm4rec_recbole.analysis.significance import LEVEL
from llm4rec_recbole.evaluation.beyond_accuracy import SHUFFLES
from llm4rec_recbole.evaluation.record_reader import Record
from llm4rec_recbole.reporting.tables.record_tables import TABLE_2
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row, first_line

COMMON = (
    "References and nulls: methods that the paper does not have. A null is a simpler method that "
    "could give the same numbers (properties/nulls.yaml). Other methods: your own, or variants.",
    f"{' and '.join(NOT_SEARCHED)} are smaller than the paper's, as their rows say. Their options "
    "are not searched, because one trial takes too long.",
    "Best of a column bold, second best underlined, as rounded here.",
)


def run_notes(sections: list[AccuracySection]) -> list[str]:
    """The sentences on seeds, failed runs, and versions of code, packages and data."""
    rows = [row for section in sections for row in section.rows]
    records = _records(rows)
    return [
        *_seeds(rows),
        *_failures(sections),
        *_idle_components(records),
        *_versions(records),
    ]


def _records(rows: Sequence[Row]) -> list[Record]:
    """The records of `rows`, each once: one run may fill two rows of Table IV."""
    by_file = {record.users_path: record for row in rows for record in row.records}
    return [*by_file.values()]


def test_notes(claims: int, null: str, further: Sequence[Comparison]) -> list[str]:
    """What the mark * means in Tables I and II.

    claims: the number of comparisons of EnhancedGenRec; null: how the notes call the best null;
    further: the comparisons of methods that the user added.
    """
    sentences = []
    if claims:
        sentences.append(
            f"*: {OURS} differs from this row, p < {LEVEL:g}. The p value is of a paired t test "
            "over users, and over seeds where a method has several. It is Holm-adjusted over the "
            f"{claims} comparisons of {OURS} with the paper's five baselines and with {null}."
        )
    if further:
        baselines = sorted({f"{t.dataset}, {t.protocol}: {t.baseline}" for t in further})
        sentences.append(
            "* at a method of your own: differs from the baseline or reference "
            f"with the highest validation NDCG@10 ({'; '.join(baselines)}), p < {LEVEL:g}. The "
            f"same test, Holm-adjusted over the {len(further)} comparisons of such rows."
        )
    return sentences


def further_of(tests: Sequence[Comparison]) -> list[Comparison]:
    """The tests of methods that the user added."""
    return [test for test in tests if test.table.endswith("_further")]


def _seeds(rows: list[Row]) -> list[str]:
    ran = [row for row in rows if row.records]
    if not ran:
        return []
    one_seed = sorted({row.method for row in ran if row.one_seed})
    means = "Mean ± standard deviation over the seeds given under Runs."
    if not one_seed:
        return [means]
    return [
        f"{means} One seed: {', '.join(one_seed)}. How much a result varies between seeds is then "
        "unknown, and the result supports no claim."
    ]


def _failures(sections: list[AccuracySection]) -> list[str]:
    """Seeds that failed where other seeds did not; a method without any has it in its row."""
    return [
        f"{section.setting}: {row.method} failed with seed {failure.seed} "
        f"({first_line(failure.error)}); its numbers are from the other seeds."
        for section in sections
        for row in section.rows
        if row.records
        for failure in row.failures
    ]


def _idle_components(records: list[Record]) -> list[str]:
    """Components that a run had on and that are off; the seeds where this is not so in all runs."""
    idle_seeds: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
    for record in records:
        for idle in record.provenance.get("idle_components", {}).items():
            runs = idle_seeds.setdefault(idle, {})
            runs.setdefault((record.method, record.dataset), []).append(record.seed)
    n_runs = Counter((record.method, record.dataset) for record in records)
    notes = []
    for (component, reason), runs in idle_seeds.items():
        listed = [
            f"{method} on {dataset}"
            + (
                f", seed {', '.join(map(str, seeds))}"
                if len(seeds) < n_runs[method, dataset]
                else ""
            )
            for (method, dataset), seeds in runs.items()
        ]
        notes.append(f"Component {component} is off ({reason}): {'; '.join(listed)}.")
    return notes


def _versions(records: list[Record]) -> list[str]:
    """Which of code, packages and data differ between the runs; data: of one data set."""
    versions = {
        "git commit": {record.provenance["git_commit"] for record in records},
        "packages": {record.provenance["lock_sha256"] for record in records},
        "data": {(record.dataset, record.provenance["data_sha256"]) for record in records},
    }
    allowed = {"data": len({record.dataset for record in records})}
    differing = [name for name, values in versions.items() if len(values) > allowed.get(name, 1)]
    if not differing:
        return []
    listed = " and ".join(differing)
    return [f"The runs differ in {listed}: see Every run in results/report.html."]


# The captions of Tables II and III.


def notes_2(sections: list[AccuracySection], tests: Sequence[Comparison]) -> list[str]:
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
        "of items. Where only one part is defined, Fairness@10 is that part. Shuffled: the middle "
        "95 % of the values of a part when groups or categories are shuffled.",
        *_fairness_parts(sections),
        "n/a: the data set has neither categories nor two groups of users.",
        "More is not better by itself: random lists are diverse and novel, and cover everything.",
        *_random_groups(sections),
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
                missing, remaining_part = "two groups of users", "items"
            elif "category" not in parts:
                missing, remaining_part = "categories of items", "users"
            else:
                continue
            note = f"Fairness@10 is the {remaining_part}' part alone"
            sentences.append(f"{section.setting}: no {missing} are known; {note}.")
    return sentences


def _random_groups(sections: list[AccuracySection]) -> list[str]:
    """Whether the users' part of fairness differs from its range with random groups.

    A setting whose records have no range gets no sentence.
    """
    sentences = []
    for section in sections:
        runs = [
            (row.method, part, *record.fairness_null["users"])
            for row in section.rows
            for record in row.records
            if "users" in record.fairness_null
            and (part := record.beyond_accuracy["user_fairness@10"]) is not None
        ]
        if not runs:
            continue
        methods, measured, lows, highs = zip(*runs)
        below = sorted({method for method, part, low, _ in runs if part < low})
        named = f" ({', '.join(below)})" if below else ""
        sentences.append(
            f"{section.setting}: the users' part of Fairness@10 is {min(measured):.2f} to "
            f"{max(measured):.2f}. With groups assigned to the {section.users} users at random it "
            f"is {min(lows):.2f} to {max(highs):.2f} (95 % of {SHUFFLES} shuffles, by "
            f"method). It is below its method's range for {len(below)} of {len({*methods})} "
            f"methods{named}. For the others it is within or above the range."
        )
    return sentences


def _tested(sections: list[AccuracySection], tests: Sequence[Comparison]) -> list[str]:
    claims = [test for test in tests if test.table == "table_2"]
    missing = [
        f"{section.setting}: {METRIC_NAMES[measure.key]}{left_out}"
        for section in sections
        for measure in TABLE_2.measures
        if (left_out := _untested(section, measure.key, claims)) is not None
    ]
    marks = test_notes(len(claims), "the best null of Table I", further_of(tests))
    if claims:
        marks.append(
            "Cov@100 and Fairness@10 are numbers of a whole run. There it is a z test whose "
            "standard error comes from exchanging the two methods' lists for random users."
        )
    return [*marks, *([f"Not tested: {'; '.join(missing)}."] if missing else [])]


def _untested(section: AccuracySection, metric: str, claims: Sequence[Comparison]) -> str | None:
    """Which of the compared methods lack a test of `metric`; "" for all; None for none."""
    in_setting = [c for c in claims if c.setting == (section.dataset, section.protocol)]
    compared, tested = (
        {c.baseline for c in in_setting},
        {c.baseline for c in in_setting if c.metric == metric},
    )
    numbered = [
        row.method
        for row in section.rows
        if row.method in compared
        and any(record.beyond_accuracy[metric] is not None for record in row.records)
    ]
    left_out = [method for method in numbered if method not in tested]
    if not tested:
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
    records = _records([row for section in sections for row in section.rows])
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
    methods: dict[str, dict[str, None]] = {}  # set-up → its methods
    for record in _records([row for section in sections for row in section.rows]):
        provenance, batch = record.provenance, record.cost["inference_batch_size"]
        users = "batches of unknown size" if batch is None else f"batches of {batch:g} users"
        key = (
            "{hardware} ({device}), {threads} torch threads; torch {torch}, Python {python}; "
            "ranked in {users}".format(users=users, **provenance)
        )
        methods.setdefault(key, {})[record.method] = None
    if len(methods) == 1:
        return [f"Measured on {key}." for key in methods]
    sentences = [f"Measured on {key}: {', '.join(named)}." for key, named in methods.items()]
    warning = "Not all runs were made on the same hardware and software; do not compare across."
    return [warning, *sentences] if sentences else []
