"""The sum of trained references: its weights, where its references come from, its record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.evaluation.score_weights import WEIGHTS
from llm4rec_recbole.models.reference_sum import choose_weights, weighted_sum
from llm4rec_recbole.registry import variant
from llm4rec_recbole.training.experiment import load_trained, train
from llm4rec_recbole.training.run import run
from tests.helpers.two_cycles import read_by

N_ITEMS = 30


def held_out(targets: np.ndarray) -> HeldOut:
    """A row for each target; every user has seen item 1."""
    n = len(targets)
    seen = np.ones(n, dtype=np.int64)
    return HeldOut(np.arange(1, n + 1), targets, np.arange(n + 1), seen, seen, N_ITEMS)


def fixed(scores: np.ndarray):
    return lambda held, rows: scores[rows]


def test_a_name_with_plus_signs_is_a_sum_of_references():
    given = {"references": ["SASRec", "RecencyEASE"], "method": "SASRec+RecencyEASE"}
    assert variant("SASRec+RecencyEASE") == ("SumOfReferences", given)
    assert variant("SASRec") == ("SASRec", {})


def test_the_sum_is_weighted_and_zero_leaves_out_even_infinite_scores():
    first, second = np.array([[1.0, 2.0]]), np.array([[-np.inf, 3.0]])
    np.testing.assert_array_equal(weighted_sum([first, second], [2, 1]), [[-np.inf, 7.0]])
    np.testing.assert_array_equal(weighted_sum([first, second], [2, 0]), [[2.0, 4.0]])


def test_a_reference_of_noise_gets_no_weight_and_one_that_knows_the_answer_gets_some():
    random = np.random.default_rng(0)
    targets = random.integers(2, N_ITEMS, size=200)
    held = held_out(targets)
    good = random.normal(size=(200, N_ITEMS))
    good[np.arange(200), targets] += 3
    noise = random.normal(size=(200, N_ITEMS))
    assert choose_weights([fixed(good), fixed(0 * noise)], held) == [1, 0]
    assert choose_weights([fixed(good), fixed(noise)], held)[1] < 0.3
    assert choose_weights([fixed(noise), fixed(good)], held)[1] > 1


def test_two_views_of_the_answer_are_weighted_by_their_noise():
    """Independent evidence with spreads 1 and 2: the best weight of the second is 1/4."""
    random = np.random.default_rng(1)
    targets = random.integers(2, N_ITEMS, size=8_000)
    truth = np.zeros((8_000, N_ITEMS))
    truth[np.arange(8_000), targets] = 2
    one = truth + random.normal(size=truth.shape)
    two = truth + 2 * random.normal(size=truth.shape)
    weight = choose_weights([fixed(one), fixed(two)], held_out(targets))[1]
    assert 1 / 8 < weight < 1 / 2
    assert weight in WEIGHTS


def test_it_adds_a_checkpoint_and_a_closed_form_and_its_record_has_the_weights(options):
    run("SASRec", "two_cycles", options=options | {"epochs": 4})
    model, given = variant("SASRec+RecencyEASE")
    given |= {"reference_options": {"RecencyEASE": {"decay": 0.5}}}
    path = run(model, "two_cycles", options=options | given)
    record = json.loads(path.read_text())
    assert record["method"] == "SASRec+RecencyEASE"
    chosen = record["chosen_on_validation"]
    assert chosen["SASRec"] == 1
    assert chosen["RecencyEASE"] in WEIGHTS
    trained = train(model, "two_cycles", options=options | given, save=False)
    rows = np.arange(4)
    test = trained.data.test.held_out
    parts = []
    for name, own in (("SASRec", {"epochs": 4}), ("RecencyEASE", {"decay": 0.5})):
        alone = train(name, "two_cycles", options=read_by(name, options | own))
        parts.append(scorer(alone.model, alone.config, alone.data.test.held_out)(rows))
    expected = parts[0].astype(float) + chosen["RecencyEASE"] * parts[1].astype(float)
    np.testing.assert_allclose(trained.model.score_histories(test, rows), expected, rtol=1e-6)


def test_its_checkpoint_restores_the_weights(options):
    given = options | {"references": ["ItemKNN", "RecencyEASE"], "reference_weights": [1.0, 7.0]}
    run("SumOfReferences", "two_cycles", options=given)
    [checkpoint] = Path(options["checkpoint_dir"]).glob("SumOf*")
    assert load_trained(checkpoint).model.weights == [1, 7]


def test_an_absent_checkpoint_is_reported_with_the_command_that_makes_it(options):
    with pytest.raises(
        InputError, match="run_recbole --model=SASRec --dataset=two_cycles --seed=0"
    ):
        train("SumOfReferences", "two_cycles", options=options)


def test_as_many_weights_as_references(options):
    given = options | {"references": ["EASE", "ItemKNN"], "reference_weights": [1.0]}
    with pytest.raises(InputError, match="1 reference_weights for 2 references"):
        train("SumOfReferences", "two_cycles", options=given)
