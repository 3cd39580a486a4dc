"""All of Table I follows from the users files alone."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies.committed_results import runs
from llm4rec_recbole.analysis.compare import best_null, best_on_validation
from llm4rec_recbole.analysis.paired_tests import read_comparisons
from llm4rec_recbole.analysis.paper.paper_tables import REFERENCES
from llm4rec_recbole.cli import tables
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.record_reader import by_method, read_records
from llm4rec_recbole.evaluation.users_file import per_seed_values, write_users
from tests.helpers.fake_results import add_run
from tests.helpers.table_from_users import assert_table_1_is_that_of_the_users

TOP = Path(__file__).parents[2]
COMMITTED = sorted(path.parent for path in (TOP / "benchmarks/results").glob("*/users"))
USERS = 80


PLACE = ("ml-100k", "loo")


def random_rankings(seed: int) -> Rankings:
    """Ranks with ties, as halves, in each of the three rankings."""
    random = np.random.default_rng(seed)
    ranks = [np.floor(random.exponential(scale, USERS) * 2) / 2 for scale in (30, 6, 12)]
    ids = np.arange(1, USERS + 1)
    top = np.tile(np.arange(1, 101), (USERS, 1))
    return Rankings(ids, ids, *ranks, top, np.ones(1), np.array([USERS]))


def test_every_number_of_table_1_is_recomputed_from_what_the_real_writer_wrote(tmp_path):
    results = tmp_path / "results"
    tokens = [f"t{n}" for n in range(USERS + 101)]
    for method, seeds in (("Pop", (0,)), ("BPR", (0, 1, 2)), ("EnhancedGenRec", (0,))):
        for seed in seeds:
            rankings = random_rankings(len(method) + seed)
            record = add_run(results, method, rankings.rank_full, seed=seed)
            made = {
                name: getattr(rankings, f"rank_{name}") for name in ("full", "uni100", "pop100")
            }
            content = json.loads(record.read_text())
            content["metrics"]["test"] |= {name: accuracy(ranks) for name, ranks in made.items()}
            record.write_text(json.dumps(content))
            lists = {"intra_list_diversity@10": 0.7, "novelty@10": 0.3}
            write_users(
                results / f"users/ml-100k/loo/{method}/seed_{seed}.parquet", rankings, tokens,
                tokens, {name: np.full(USERS, value) for name, value in lists.items()},
            )  # fmt: skip
    assert tables.compare(["--results", str(results)]) == 0
    assert tables.tables(["--results", str(results), "--out", str(tmp_path)]) == 0
    lines = [*csv.DictReader((tmp_path / "table_1.csv").read_text().splitlines())]
    assert assert_table_1_is_that_of_the_users(lines, results / "users", {PLACE: "Pop"}) == 3 * 6
    ours = next(n for n, line in enumerate(lines) if line["method"] == "EnhancedGenRec")
    for number, key, other in (
        (0, "full_hit@10", "0.5"),  # GenRec, which has no run
        (ours, "full_hit@10", "0.5"),
        (ours - 3, "full_ndcg@10_p_holm", "0.04"),  # BPR
        (ours - 3, "full_hit@10_compared_with", "GenRec"),
    ):
        assert lines[number][key] != other
        changed = [line | {key: other} if n == number else line for n, line in enumerate(lines)]
        with pytest.raises(AssertionError):
            assert_table_1_is_that_of_the_users(changed, results / "users", {PLACE: "Pop"})


def test_the_table_here_follows_from_the_users_files_here():
    users, table = TOP / "results/users", TOP / "paper_tables/table_1.csv"
    assert [*users.rglob("*.parquet")]
    with open(table, encoding="utf-8") as file:
        lines = [*csv.DictReader(file)]
    records = read_records(TOP / "results")
    grouped = by_method(records, sorted({record.method for record in records}))
    nulls = {place: best_null(runs, "EnhancedGenRec") for place, runs in grouped.items()}
    assert nulls["ml-100k", "loo"] == "SASRec+SLIST-online"
    assert assert_table_1_is_that_of_the_users(lines, users, nulls) > 0


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_each_committed_record_follows_from_its_ranks(folder):
    records = [record for record in read_records(folder) if record.users_path.is_file()]
    assert len(records) == len([*folder.glob("users/*/*/*/*.parquet")]) > 0
    methods = sorted({record.method for record in records})
    for its_records in by_method(records, methods).values():
        per_seed_values(its_records)  # raises InputError where the two disagree
    key = ("full", "hit@10")
    other = replace(
        records[0], accuracy=records[0].accuracy | {key: records[0].accuracy[key] + 1e-6}
    )
    with pytest.raises(InputError, match="full hit@10 is"):
        per_seed_values({other.method: [other]})


def test_the_table_of_the_other_processor_follows_from_what_git_holds(tmp_path):
    """Its marks too: their p values are those of the ranks."""
    folder = TOP / "benchmarks/results/without_amx"
    results = tmp_path / "results"
    for name in ("runs", "users"):
        shutil.copytree(folder / name, results / name)
    assert len(runs(results)) == 11
    assert tables.compare(["--results", str(results)]) == 0
    made_here, committed = (
        [astuple(c) for c in read_comparisons(path / "comparisons.csv") if c.table == "table_1"]
        for path in (results, folder)
    )
    for one, other in zip(made_here, committed, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            if isinstance(mine, float):
                assert mine == pytest.approx(theirs, rel=1e-6, abs=1e-9)
            else:
                assert mine == theirs  # what is compared, and what it shows
    nothing = ["--failures", str(tmp_path), "--out", str(tmp_path)]
    assert tables.tables(["--results", str(results), *nothing]) == 0
    made = tmp_path / "table_1.csv"
    lines = [*csv.DictReader(made.read_text().splitlines())]
    grouped = by_method(read_records(results), REFERENCES)
    references = {place: best_on_validation(runs, REFERENCES) for place, runs in grouped.items()}
    assert assert_table_1_is_that_of_the_users(lines, results / "users", references) == 11 * 6
    assert made.with_suffix(".md").read_text() == (folder / "table_1.md").read_text()
