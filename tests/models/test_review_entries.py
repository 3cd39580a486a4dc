"""Reviews: which ones are read, which become entries, and that later ones change no score."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components.retrieval.repository import earliest_of_each_item, training_reviews
from llm4rec_recbole.training.experiment import prepare
from tests.helpers.two_cycles import one_history

SMALL = {
    "llm": "scratch-32x1",
    "llm_layers": 1,
    "llm_dtype": "float32",
    "text_encoder": "hash-16",
    "components": ["retrieval"],
    "retrieved_entries": 8,
    "retrieved_reviews": 1000,
}
MIDDLE = 1_000_000_000 + 60 * 6 + 30  # half of each user's training items come before it


@pytest.fixture
def shop(two_cycles, tmp_path, options):
    """Options for `two_cycles` with titles, and a function that writes its reviews.parquet."""
    folder = tmp_path / "reviewed" / "two_cycles"
    folder.mkdir(parents=True)
    text = (two_cycles / "two_cycles" / "two_cycles.inter").read_text()
    (folder / "two_cycles.inter").write_text(text)
    titles = [f"i{item}\tNumber {item}" for item in range(40)]
    head = "item_id:token\ttitle:token_seq"
    (folder / "two_cycles.item").write_text("\n".join([head, *titles]) + "\n")
    rows = [row.split("\t") for row in text.splitlines()[1:]]

    def write(**columns: Any) -> dict[str, Any]:
        table = pd.DataFrame({"user_id": [r[0] for r in rows], "item_id": [r[1] for r in rows]})
        table = table.assign(timestamp=[float(r[3]) for r in rows], **{"summary": ""} | columns)
        table.to_parquet(folder / "reviews.parquet")
        return options | SMALL | {"data_path": str(folder.parent)}

    write.rows = rows
    return write


def test_reviews_of_held_out_interactions_are_not_read(shop):
    training = 60 * 12  # each user's last two are held out
    texts = ["said"] * training + ["secret"] * (60 * 2)
    run = prepare("EnhancedGenRec", "two_cycles", options=shop(text=texts))
    reviews = training_reviews(run.config, run.data.train.dataset)
    assert reviews == ["said"] * training
    assert np.isfinite(run.model.retrieved.reviews.dates).sum() == training


def test_a_summary_replaces_a_missing_text(shop):
    texts = [None, "", "in full"] * (60 * 14 // 3)
    options = shop(text=texts, summary="in short") | {"retrieved_reviews": 0}
    run = prepare("EnhancedGenRec", "two_cycles", options=options)
    reviews = training_reviews(run.config, run.data.train.dataset)
    assert Counter(reviews) == {"in short": 60 * 12 * 2 // 3, "in full": 60 * 12 // 3}
    assert run.model.retrieved.reviews is None


def test_an_item_has_few_review_entries_and_none_without_text(shop):
    silent = ["" if user == "u0" else "said" for user, *_ in shop.rows]
    run = prepare(
        "EnhancedGenRec", "two_cycles", options=shop(text=silent) | {"retrieved_reviews": 2}
    )
    dates = run.model.retrieved.reviews.dates
    assert np.isfinite(dates).sum(1).tolist() == [0, *[2] * 40]


@pytest.mark.parametrize("texts", ["titles", "no titles"])
def test_vectors_of_reviews_may_be_wider_than_those_of_titles(shop, texts):
    """Titles are whitened, to one column if there are none; reviews are not."""
    options = shop(text="said") | {"text_encoder": "hash-300", "retrieved_reviews": 2}
    if texts == "no titles":
        Path(options["data_path"], "two_cycles", "two_cycles.item").unlink()
        options["load_col"] = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    assert np.isfinite(scores(options, MIDDLE)).all()


def scores(options, query_time):
    """Scores of an untrained model for a user with the history 2 … 20."""
    model = prepare("EnhancedGenRec", "two_cycles", options=options).model.eval()
    torch.nn.init.ones_(model.retrieved.gate)  # it starts at 0
    return model.score_histories(one_history(np.arange(2, 21), query_time), np.array([0]))


@pytest.mark.parametrize("later", [True, False])
def test_later_reviews_change_no_score_and_earlier_ones_do(shop, later):
    changed = [(float(time) > MIDDLE) == later for *_, time in shop.rows]
    one = scores(shop(text="one thing"), MIDDLE)
    texts = ["another thing" if is_changed else "one thing" for is_changed in changed]
    assert (one == scores(shop(text=texts), MIDDLE)).all() == later


@pytest.mark.parametrize("first", [True, False])
def test_the_review_with_the_time_of_the_interaction_is_read(shop, first):
    """The order in the file does not matter. The other review is newer than the interaction."""
    options = shop(text="said")
    table = Path(options["data_path"], "two_cycles", "reviews.parquet")
    own = pd.read_parquet(table)
    again = own.assign(text="secret", timestamp=own["timestamp"] + 1e6)
    pd.concat([own, again] if first else [again, own]).to_parquet(table)
    run = prepare("EnhancedGenRec", "two_cycles", options=options)
    assert set(training_reviews(run.config, run.data.train.dataset)) == {"said"}


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3))), st.integers(1, 3))
def test_earliest_of_each_item_equals_a_count_of_earlier_rows(rows, most):
    items = np.array([item for item, _ in rows], dtype=np.int64)
    times = np.array([time for _, time in rows], dtype=np.float64)
    expected = [
        row
        for row, (item, time) in enumerate(rows)
        if sum(i == item and (t, r) < (time, row) for r, (i, t) in enumerate(rows)) < most
    ]
    assert earliest_of_each_item(items, times, most).tolist() == expected
