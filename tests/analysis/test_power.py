"""Users that a claim needs: by formula, by simulation, and from committed ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.analysis.claims import read_printed
from llm4rec_recbole.analysis.power import (
    paper_gains,
    parse_claim,
    read_pilots,
    steps_needed,
    users_needed,
)
from llm4rec_recbole.analysis.significance import paired_t
from llm4rec_recbole.cli.run import llm4rec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import printed_folder
from tests.helpers.fake_results import add_run, ranks_around, unescaped

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "results"


def test_users_needed_by_hand():
    """(1.95996 + 0.84162)² = 7.8489; a spread of 0.2 and a difference of 0.01: times 400."""
    assert users_needed(0.2, 0.01) == 3_140
    with pytest.raises(ValueError, match="difference of 0"):
        users_needed(0.2, 0.0)


def test_that_many_users_find_the_difference_with_the_power_that_is_stated():
    users = users_needed(0.2, 0.02)
    samples = np.random.default_rng(0).normal(0.02, 0.2, (users, 4_000))
    assert np.mean(paired_t(samples) < 0.05) == pytest.approx(0.8, abs=0.02)


@given(st.floats(0.01, 1), st.floats(0.001, 0.1), st.integers(1, 60))
def test_more_tests_and_smaller_gains_need_more_users(spread, difference, tests):
    one = users_needed(spread, difference)
    assert users_needed(spread, difference, tests) >= one
    assert users_needed(spread, difference / 2) == pytest.approx(4 * one, abs=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+0.7% hit@10", (0.7, "hit@10")), ("-1 % in NDCG@5", (-1, "ndcg@5"))],
)
def test_claims_are_read(text, expected):
    assert parse_claim(text) == expected


@pytest.mark.parametrize(
    "text", ["", "better", "+0.7%", "0% hit@10", "+1% recall@10", "+nan% hit@10"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="cannot read the claim"):
        parse_claim(text)


def test_the_committed_ranks_give_numbers_of_the_known_size():
    """Known independently, with earlier records of EnhancedGenRec: HR@10 +.7 % needs 1.15 million
    users by Beauty's spread and 265 thousand by ml-1m's, NDCG@10 +1.4 % 272 and 75 thousand.
    Today's records are nearer to SASRec's and differ less, so fewer users are enough."""
    pilots = {p.dataset: p for p in read_pilots([COMMITTED / "ml-1m", COMMITTED / "beauty"])}
    assert 130e3 < pilots["ml-1m"].users_needed("hit@10", 0.7) < 270e3
    assert 200e3 < pilots["beauty"].users_needed("hit@10", 0.7) < 1.2e6
    assert 40e3 < pilots["ml-1m"].users_needed("ndcg@10", 1.4) < 76e3
    assert 40e3 < pilots["beauty"].users_needed("ndcg@10", 1.4) < 280e3


def test_no_step_of_table_4_can_be_resolved_on_its_own_data_set():
    gains = paper_gains(read_printed(printed_folder()))
    steps = steps_needed(gains, read_pilots([COMMITTED / "ml-1m", COMMITTED / "beauty"]))
    assert len(steps) == 20
    assert min(steps) > 162_541


def test_the_command_prints_a_claim_and_writes_the_table(tmp_path, capsys):
    for method, middle in (("EnhancedGenRec", 10), ("BPR", 12)):
        add_run(tmp_path, method, ranks_around(middle))
    (tmp_path / "none").mkdir()
    where = ["--results", str(tmp_path), "--other_results", str(tmp_path / "none")]
    assert llm4rec(["power", "--claim", "+5% ndcg@10", "--pilot", "ml-100k", *where]) == 0
    out = capsys.readouterr().out
    assert "| +5% ndcg@10 | NDCG@10" in out
    assert "ml-100k (EnhancedGenRec - BPR), 60 users" in unescaped(out)
    assert llm4rec(["power", *where, "--out", str(tmp_path / "power.md")]) == 0
    text = (tmp_path / "power.md").read_text()
    assert "of the 20 steps of Table IV cannot be resolved on MovieLens-25M" in text
    assert llm4rec(["power", "--pilot", "beauty", *where]) == 2
    assert "no committed ranks of beauty" in capsys.readouterr().err
