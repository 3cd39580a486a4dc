"""Accuracy for users and for test items with few training interactions.

The counts are in <other_results>/training_counts.parquet, a row for each test user:

    dataset                string    protocol loo
    user                   string    raw token
    user_interactions      int32     the user's training interactions
    target_interactions    int32     those of the held-out item, of all users

`python -m benchmarks.studies.few_interactions` writes them. So the table needs no data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.paper.paper_methods import METRIC_NAMES, group_of, row_label
from llm4rec_recbole.evaluation.record_reader import Runs
from llm4rec_recbole.evaluation.users_file import averaged, per_seed_values, read_users
from llm4rec_recbole.reporting.tables.render import Cell, Section, Table, column, number
from llm4rec_recbole.reporting.tables.rows import group_starts, size_of

if TYPE_CHECKING:
    import pandas as pd

NAME, FILE = "few_interactions", "training_counts.parquet"
COUNTS = {"user_interactions": "users", "target_interactions": "test items"}
FEW = 5  # training interactions, at most


def read_counts(other_results: Path) -> pd.DataFrame | None:
    """The counts, ordered by data set and user; None where there is no such file."""
    import pandas as pd

    path = other_results / FILE
    if not path.is_file():
        return None
    return pd.read_parquet(path).sort_values(["dataset", "user"], kind="stable")


def build(
    datasets: Mapping[str, tuple[Path, Runs]], counts: pd.DataFrame, recbole_row: str = "BPR"
) -> Table:
    """A section for each data set that has counts of the same test users; a note names the others.

    datasets: as `datasets.table_runs` returns it.
    """
    columns = [("", "Method")]
    columns += [
        (f"{what} with {group}", METRIC_NAMES[metric])
        for what in COUNTS.values()
        for group in (f"≤ {FEW}", "more")
        for metric in METRICS
    ]
    sections, uncounted = [], []
    for dataset, (_, runs) in datasets.items():
        own_counts = counts[counts["dataset"] == dataset]
        users = read_users(next(iter(runs.values()))[0].users_path, ("user",))["user"]
        if sorted(users) == own_counts["user"].to_list():
            sections.append(_section(dataset, runs, own_counts, recbole_row))
        else:
            uncounted.append(dataset)
    return Table(
        name="Few interactions",
        label="tab:few-interactions",
        title="Accuracy where little is known",
        columns=columns,
        sections=sections,
        notes=[
            "Ranked among all items, protocol loo; means over seeds and the group's test users. "
            f"≤ {FEW}: that many training interactions of the user, or of the held-out item. "
            "Best of a column bold, second best underlined. –: the group is empty.",
            "No test: the groups were not planned, and a few hits decide the small ones.",
            *([f"No counts of the test users of {', '.join(uncounted)}."] if uncounted else []),
        ],
    )


def _section(dataset: str, runs: Runs, counts: pd.DataFrame, recbole_row: str) -> Section:
    values = averaged(per_seed_values(runs))
    is_few = {name: counts[name].to_numpy() <= FEW for name in COUNTS}
    methods = list(runs)
    cells = [[Cell(row_label(m, recbole_row, size_of(m, runs[m]))) for m in methods]]
    for name in COUNTS:
        for group in (is_few[name], ~is_few[name]):
            for metric in METRICS:
                means = [
                    float(values[m]["full", metric][group].mean()) if group.any() else None
                    for m in methods
                ]
                cells.append(column([number(mean, 3) for mean in means]))
    sizes = " and ".join(f"{int(is_few[name].sum()):,} {what}" for name, what in COUNTS.items())
    groups = [group_of(method, recbole_row) for method in methods]
    return Section(
        f"{dataset}: of {len(counts):,}, {sizes} have at most {FEW} training interactions",
        [*map(list, zip(*cells))],
        groups=group_starts(groups),
    )
