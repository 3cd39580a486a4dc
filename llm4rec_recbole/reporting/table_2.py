"""Table II: diversity, coverage, novelty and fairness of the recommended lists."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.analysis.comparisons import LEVEL, Comparison
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection
from llm4rec_recbole.reporting.record_table import Measure, RecordTable
from llm4rec_recbole.reporting.run_notes import COMMON, run_notes

TABLE = RecordTable(
    name="Table II",
    label="tab:diversity",
    title="Diversity and fairness: the paper's numbers and ours",
    of="beyond_accuracy",
    measures=(
        Measure("intra_list_diversity@10", "intra_list_diversity", "ILD@10", "ILD", 3),
        Measure("coverage@100", "coverage@100", "Cov@100", "Cov@100", 3),
        Measure("novelty@10", "novelty", "Novelty@10", "Novelty", 3),
        Measure("fairness@10", "fairness", "Fairness@10", "Fairness", 3),
    ),
)


def notes(sections: list[AccuracySection], tests: Sequence[Comparison]) -> list[str]:
    """The caption: what each column measures, since the paper does not say."""
    return [
        "Paper: as printed; the paper gives no formulas, and one set of numbers for three data "
        "sets, so a number of theirs and one of ours need not measure the same thing.",
        "All four lie between 0 and 1, more is better. Lists: full ranking, seen items left out.",
        "ILD@10: mean cosine distance between the categories of two of the first ten items. "
        "Cov@100: the share of the catalogue that stands in anybody's first hundred; as many "
        "users as there are can fill only so much of it. Novelty@10: mean self-information of the "
        "first ten, from how many training users know an item, 1 where only one does. Fairness@10: "
        "the mean of two parts, how equal NDCG@10 is between groups of users (gender, age, "
        "occupation, where known) and how equal exposure is between categories of items; "
        "the run records hold both.",
        "n/a: the data set names no categories, or no groups of users.",
        "More is not better by itself: random lists are diverse, novel and cover everything.",
        *_tested(tests),
        *COMMON,
        *run_notes(sections),
    ]


def _tested(tests: Sequence[Comparison]) -> list[str]:
    if not tests:
        return []
    names = {measure.key: measure.name for measure in TABLE.measures}
    found = {f"{t.dataset}, {t.protocol}: {names[t.metric]} {t.baseline}" for t in tests}
    return [
        f"*: differs from the best baseline of its column ({'; '.join(sorted(found))}), p < "
        f"{LEVEL:g}: paired t test over users, Holm-adjusted over the {len(tests)} comparisons of "
        "this table. Cov@100 and Fairness@10 are numbers of a whole run and are not tested."
    ]
