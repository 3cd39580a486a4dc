"""A checkpoint becomes the model that wrote it, with the histories of its users."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from llm4rec_recbole import checkpoints
from llm4rec_recbole.components.adaptation.adapter import fisher_information
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.users_file import read_users
from llm4rec_recbole.inference.restore import TrainedModel, newest_checkpoint, restore
from llm4rec_recbole.training.checkpoint_files import (
    adapted_file,
    load_adapted_weights,
    saved_fisher,
)
from llm4rec_recbole.training.run import run

pytestmark = pytest.mark.usefixtures("own_folder", "only_read_options")


def checkpoint_of(options: dict, model: str) -> Path:
    return newest_checkpoint(options["checkpoint_dir"], model, "two_cycles")


@pytest.fixture(scope="module")
def ease(trained_options: dict) -> TrainedModel:
    return restore(checkpoint_of(trained_options, "EASE"))


@pytest.mark.parametrize("model", ["EASE", "BPR", "SASRec"])
def test_it_recommends_what_the_users_file_holds(model: str, trained_options: dict) -> None:
    from llm4rec_recbole.inference.recommend import rank_candidates

    trained = restore(checkpoint_of(trained_options, model))
    folder = Path(trained_options["results_dir"], "users/two_cycles/loo", model)
    users = read_users(folder / "seed_0.parquet")
    for user, expected in list(zip(users.user, users.top_100))[:5]:
        top = rank_candidates(trained, trained.user_history(user)).top_100[0]
        assert trained.item_tokens[top[top > 0]].tolist() == list(expected)


def test_a_test_users_history_is_that_of_the_test(ease: TrainedModel) -> None:
    row = 3
    known = ease.user_history(ease.user_tokens[ease.test.users[row]])
    assert known.users.tolist() == [ease.test.users[row]]
    span = slice(ease.test.indptr[row], ease.test.indptr[row + 1])
    np.testing.assert_array_equal(known.items, ease.test.items[span])
    assert ease.test.targets[row] not in known.items


def test_a_user_who_is_not_tested_has_the_training_history(ease: TrainedModel) -> None:
    known = ease.user_history("lonely")
    assert ease.item_tokens[known.items].tolist() == ["i1"]
    assert known.times.tolist() == [1_000_000_000]


@pytest.mark.parametrize(("ask", "kind"), [("user_history", "user"), ("item_number", "item")])
@pytest.mark.parametrize("token", ["nobody", "[PAD]", ""])
def test_an_unknown_user_or_item_is_refused_with_examples(
    ease: TrainedModel, ask: str, kind: str, token: str
) -> None:
    with pytest.raises(
        InputError, match=rf"no {kind} '.*' in two_cycles \(expected one of its \d\d "
    ):
        getattr(ease, ask)(token)


def test_a_user_without_training_interactions_is_unknown_to_the_model(ease: TrainedModel) -> None:
    from dataclasses import replace

    own = ease.users != ease.user_history("lonely").users[0]
    without = replace(ease, users=ease.users[own], items=ease.items[own], times=ease.times[own])
    with pytest.raises(InputError, match="EASE cannot rank for user 'lonely'"):
        without.user_history("lonely")


def test_a_user_who_has_seen_everything(ease: TrainedModel) -> None:
    from dataclasses import replace

    n = ease.test.n_items
    number = ease.user_history("lonely").users[0]
    all_ = replace(
        ease, users=np.full(n - 1, number), items=np.arange(1, n), times=np.arange(n - 1)
    )
    with pytest.raises(InputError, match="has seen every item"):
        all_.user_history("lonely")


def test_a_sequence_model_reads_the_last_of_a_history(trained_options: dict) -> None:
    history = np.arange(1, 31)
    sasrec = restore(checkpoint_of(trained_options, "SASRec"))
    assert sasrec.model_history(history).tolist() == list(range(21, 31))


def test_another_model_reads_all_of_it(ease: TrainedModel) -> None:
    assert ease.model_history(np.arange(1, 31)).tolist() == list(range(1, 31))


def test_the_newest_checkpoint_is_taken(trained_options: dict, tmp_path: Path) -> None:
    first = checkpoint_of(trained_options, "EASE")
    for name, age in (("b", 5), ("a", 1), ("c", 9)):
        path = tmp_path / f"EASE-two_cycles-seed_0-{name}.safetensors"
        shutil.copy(first, path)
        os.utime(path, (1e9 - age, 1e9 - age))
    assert (
        newest_checkpoint(tmp_path, "EASE", "two_cycles").name
        == "EASE-two_cycles-seed_0-a.safetensors"
    )
    newer = tmp_path / "of" / "the pipeline" / first.name
    newer.parent.mkdir(parents=True)
    shutil.copy(first, newer)
    assert newest_checkpoint(tmp_path, "EASE", "two_cycles") == newer


def test_a_run_is_found_by_the_name_of_its_record(trained_options: dict, tmp_path: Path) -> None:
    options = trained_options | {"method": "EASE_again", "checkpoint_dir": str(tmp_path)}
    run("EASE", "two_cycles", options=options)
    (tmp_path / "EASE-two_cycles-seed_0-broken.safetensors").write_bytes(b"no checkpoint")
    found = newest_checkpoint(tmp_path, "EASE_again", "two_cycles")
    assert restore(found).method == "EASE_again"
    with pytest.raises(InputError, match="no checkpoint of EASE on two_cycles"):
        newest_checkpoint(tmp_path, "EASE", "two_cycles")


def test_a_restored_model_has_learned_from_the_validation_items(
    trained_options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4rec_recbole.models.baselines import EASE

    learned: list[np.ndarray] = []

    def learn(self: object, valid: HeldOut, *unused: object) -> Iterator[np.ndarray]:
        learned.append(valid.targets)
        return iter(())

    monkeypatch.setattr(EASE, "prequential_rows", learn, raising=False)
    trained = restore(checkpoint_of(trained_options, "EASE"))
    last_seen = trained.test.items[trained.test.indptr[1:] - 1]
    np.testing.assert_array_equal(learned[0], last_seen)  # the validation items


def never(*_: object) -> None:
    raise AssertionError("it learns from the validation items again")


def test_adapted_weights_are_equal_to_learning_again(
    adaptive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relearned = restore(adaptive, adapted=False)
    trained = {name: value.clone() for name, value in relearned.model.state_dict().items()}
    model = relearned.model
    unranked = np.zeros(0)
    assert not list(model.prequential_rows(relearned.valid, relearned.outcomes, unranked))
    monkeypatch.setattr(type(relearned.model), "prequential_rows", never)
    loaded = restore(adaptive)
    expected = relearned.model.state_dict()
    assert any(not torch.equal(expected[name], value) for name, value in trained.items())
    assert all(torch.equal(v, expected[name]) for name, v in loaded.model.state_dict().items())
    rows = np.arange(len(loaded.test))
    np.testing.assert_array_equal(
        loaded.model.score_histories(loaded.test, rows),
        relearned.model.score_histories(relearned.test, rows),
    )


def test_adapted_weights_count_only_beside_a_finished_run(adaptive: Path, tmp_path: Path) -> None:
    """A training that was resumed and killed has other weights than those that were adapted."""
    unfinished = tmp_path / adaptive.name
    checkpoints.save(unfinished, checkpoints.load(adaptive))
    shutil.copy(adapted_file(adaptive), adapted_file(unfinished))
    model = restore(adaptive, adapted=False).model
    assert not load_adapted_weights(model, unfinished)
    assert load_adapted_weights(model, adaptive)


def test_weights_that_a_command_learned_again_are_saved(adaptive: Path, tmp_path: Path) -> None:
    copy = tmp_path / adaptive.name
    shutil.copy(adaptive, copy)
    relearned = restore(copy).model.state_dict()
    loaded = restore(copy, adapted=False).model
    assert load_adapted_weights(loaded, copy)
    assert all(torch.equal(v, relearned[name]) for name, v in loaded.state_dict().items())


def test_the_importance_of_weights_is_saved_to_the_last_bit(adaptive: Path, tmp_path: Path) -> None:
    """F of (33), so that the first event after a run is learned at once."""
    model = restore(adaptive)
    saved = saved_fisher(model.model, adaptive)
    assert saved is not None
    computed = fisher_information(model.model, model.test)
    assert saved.keys() == computed.keys()
    assert all(torch.equal(saved[name], computed[name]) for name in saved)
    assert any(value.any() for value in saved.values())
    unfinished = tmp_path / adaptive.name
    checkpoints.save(unfinished, checkpoints.load(adaptive))
    shutil.copy(adapted_file(adaptive), adapted_file(unfinished))
    assert saved_fisher(model.model, unfinished) is None


@pytest.mark.parametrize("content", [{"adapted": {}}, {"adapted": {"w": torch.ones(2)}}, {}])
def test_adapted_weights_of_another_model_are_refused(
    adaptive: Path, tmp_path: Path, content: dict
) -> None:
    copy = tmp_path / adaptive.name
    shutil.copy(adaptive, copy)
    model = restore(adaptive, adapted=False).model
    checkpoints.save(adapted_file(copy), content)
    if content == {"adapted": {}}:
        assert load_adapted_weights(model, copy)
    else:
        with pytest.raises(InputError, match="not the adapted weights of this model"):
            load_adapted_weights(model, copy)


def test_the_checkpoint_of_a_finished_run_is_preferred(
    trained_options: dict, tmp_path: Path
) -> None:
    finished = tmp_path / "EASE-two_cycles-seed_0-finished.safetensors"
    shutil.copy(checkpoint_of(trained_options, "EASE"), finished)
    os.utime(finished, (1e9, 1e9))
    killed = tmp_path / "EASE-two_cycles-seed_0-killed.safetensors"
    checkpoints.save(killed, checkpoints.load(finished))
    assert newest_checkpoint(tmp_path, "EASE", "two_cycles") == finished
    finished.unlink()
    assert newest_checkpoint(tmp_path, "EASE", "two_cycles") == killed


def test_a_missing_checkpoint_is_refused_with_the_training_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run_recbole --model=GRU4Rec --dataset=two_cycles$"):
        newest_checkpoint("work/checkpoints", "GRU4Rec", "two_cycles")
    with pytest.raises(InputError, match="--dataset=two_cycles --checkpoint_dir=elsewhere"):
        newest_checkpoint("elsewhere", "GRU4Rec", "two_cycles")
    with pytest.raises(InputError, match=r"--model=EnhancedGenRec_fusion --dataset=two_cycles"):
        newest_checkpoint(tmp_path, "EnhancedGenRec_fusion", "two_cycles")
    with pytest.raises(InputError, match="no model 'EASY'; did you mean EASE"):
        newest_checkpoint(tmp_path, "EASY", "two_cycles")


def test_recboles_own_protocol_is_refused(trained_options: dict, tmp_path: Path) -> None:
    options = trained_options | {"protocol": "recbole", "checkpoint_dir": str(tmp_path)}
    run("EASE", "two_cycles", options=options)
    with pytest.raises(InputError, match="RecBole's own protocol"):
        restore(newest_checkpoint(tmp_path, "EASE", "two_cycles"))
