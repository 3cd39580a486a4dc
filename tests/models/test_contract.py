"""What every method must do, whatever it is: one class, one line for each method."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.users_file import read_users
from llm4rec_recbole.training.experiment import train
from llm4rec_recbole.training.run import run

# The NDCG@10 that a method must reach on `two_cycles`, where the last two items decide the next.
# A random ranking of a user's 27 unseen items has 0.12. A method that ignores order can only
# recognise the cycle, which halves the candidates. Under-fit if lower.
METHODS = {
    "Pop": 0.0,
    "ItemKNN": 0.4,
    "EASE": 0.4,
    "RecencyEASE": 0.6,
    "SumOfReferences": 0.6,
    "BPR": 0.25,
    "LightGCN": 0.25,
    "BERT4Rec": 0.5,
    "P5": 0.5,
    "GenRec": 0.5,
    "SASRec": 0.9,
    "EnhancedGenRec": 0.6,
}
# What makes a method small enough for a test.
SMALL = {
    "SumOfReferences": {"references": ["ItemKNN", "RecencyEASE"]},
    "GenRec": {
        "llm": "scratch-32x2",
        "llm_layers": 1,
        "llm_dtype": "float32",
        "lora_rank": 0,
        "train_batch_size": 16,
    },
    "P5": {"train_batch_size": 16},
    "EnhancedGenRec": {
        "llm": "scratch-32x1",
        "llm_layers": 1,
        "llm_dtype": "float32",
        "text_encoder": "hash-16",
        "relation_reg": 10.0,
        "adaptation_rate": 1e-4,
    },
}

# What the record says of a language model: how it began.
PRETRAINED = {"GenRec": "scratch-32x2", "P5": "scratch", "EnhancedGenRec": "scratch-32x1"}
LAYERS = {"GenRec": "1 of 2", "EnhancedGenRec": "1 of 1"}  # that it uses


@pytest.fixture
def options(options, method):
    return options | SMALL.get(method, {})


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_learns_what_the_data_teach(self, method, options):
        record = json.loads(run(method, "two_cycles", options=options).read_text())
        assert record["metrics"]["test"]["full"]["ndcg@10"] >= METHODS[method]

    def test_same_seed_same_scores_to_the_last_bit(self, method, options):
        options |= {"epochs": 2, "eval_step": 1}
        scores = []
        for _ in range(2):
            trained = train(method, "two_cycles", options=options)
            held_out = trained.data.test.held_out
            scores.append(scorer(trained.model, trained.config, held_out)(np.arange(len(held_out))))
        assert (scores[0] == scores[1]).all()

    def test_scores_every_item_for_every_user_with_finite_numbers(self, method, options):
        trained = train(method, "two_cycles", options=options | {"epochs": 1, "eval_step": 1})
        held_out = trained.data.test.held_out
        scores = scorer(trained.model, trained.config, held_out)(np.arange(len(held_out)))
        assert scores.shape == (len(held_out), held_out.n_items)
        assert np.isfinite(scores[:, 1:]).all()

    def test_a_users_scores_do_not_depend_on_who_else_is_in_the_batch(self, method, options):
        trained = train(method, "two_cycles", options=options | {"epochs": 1, "eval_step": 1})
        held_out = trained.data.test.held_out
        score = scorer(trained.model, trained.config, held_out)
        together = score(np.arange(8))
        alone = np.concatenate([score(np.array([row])) for row in range(8)])
        np.testing.assert_allclose(together[:, 1:], alone[:, 1:], rtol=1e-4, atol=1e-5)

    def test_the_record_agrees_with_the_users_file(self, method, options):
        path = run(method, "two_cycles", options=options | {"epochs": 1, "eval_step": 1})
        record = json.loads(path.read_text())
        users_file = Path(str(path).replace("runs", "users")).with_suffix(".parquet")
        users = read_users(users_file)
        assert record["provenance"]["pretrained"] == PRETRAINED.get(method)
        assert record["provenance"]["llm_layers"] == LAYERS.get(method)
        for ranking in ("full", "uni100", "pop100"):
            expected = accuracy(users[f"rank_{ranking}"].to_numpy())
            assert record["metrics"]["test"][ranking] == pytest.approx(expected, abs=1e-12)
        assert not {t for u, ts in zip(users.target, users.top_100) for t in ts if t == "[PAD]"}

    def test_the_test_items_change_nothing_before_they_are_ranked(
        self, method, options, two_cycles, tmp_path
    ):
        """Another unseen last item for every user: every score stays as it was."""
        folder = tmp_path / "altered" / "two_cycles"
        folder.mkdir(parents=True)
        head, *rows = (two_cycles / "two_cycles" / "two_cycles.inter").read_text().splitlines()
        last = {row.split("\t")[0]: number for number, row in enumerate(rows)}
        for number in last.values():
            user, item, *rest = rows[number].split("\t")
            rows[number] = "\t".join([user, f"i{(int(item[1:]) + 4) % 40}", *rest])
        (folder / "two_cycles.inter").write_text("\n".join([head, *rows]) + "\n")
        scores = []
        for data_path in (two_cycles, folder.parent):
            chosen = options | {"data_path": str(data_path), "epochs": 2, "eval_step": 1}
            trained = train(method, "two_cycles", options=chosen)
            tokens = trained.data.test.dataset.field2id_token["item_id"]
            held_out = trained.data.test.held_out
            score = scorer(trained.model, trained.config, held_out)(np.arange(len(held_out)))
            scores.append(score[:, np.argsort(tokens)])
        np.testing.assert_array_equal(scores[0], scores[1])
