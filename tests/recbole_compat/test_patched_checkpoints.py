"""Checkpoints without pickle, exact resumption, and the patches of RecBole's trainer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError

SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}


@pytest.fixture
def prepare(write: Callable) -> Callable[..., Any]:
    """prepare(model, **options): a trainer with its three loaders, on 20 users and 15 items."""
    random = np.random.default_rng(0)
    rows = [f"{u} | {i} | {t}" for u in range(20) for t, i in enumerate(random.permutation(15)[:8])]
    write(inter=["user_id:token | item_id:token | timestamp:float", *rows])

    def make(model: str, **options: Any) -> Any:
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer, init_seed

        defaults = {
            "load_col": None,
            "eval_args": SPLIT,
            "topk": [3],
            "valid_metric": "NDCG@3",
            "train_batch_size": 32,
            "embedding_size": 8,
            "show_progress": False,
            "protocol": "recbole",
            "checkpoint_dir": "saved",
            "eval_step": 1,
        }
        config = Config(model, "tiny", config_dict=defaults | options)
        init_seed(config["seed"], config["reproducibility"])
        train, valid, test = data_preparation(config, create_dataset(config))
        network = get_model(model)(config, train.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
        return trainer, train, valid, test

    return make


def disturb() -> None:
    """Draw from every generator, as another program would in between."""
    import random

    import torch

    random.random(), np.random.rand(3), torch.rand(3)  # noqa: NPY002


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "MultiVAE"])
@pytest.mark.parametrize("learner", ["adam", "sgd"])
def test_a_resumed_run_ends_with_the_same_bits(prepare: Callable, model: str, learner: str) -> None:
    import torch

    whole, train, *_ = prepare(model, epochs=4, learner=learner)
    whole.fit(train)
    first, train, *_ = prepare(model, epochs=2, learner=learner)
    first.fit(train)
    second, train, *_ = prepare(model, epochs=4, learner=learner)
    disturb()
    second.resume_checkpoint(first.saved_model_file)
    assert second.start_epoch == 2
    second.fit(train)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name]), name


def test_resuming_remembers_the_best_epoch(prepare: Callable) -> None:
    first, train, valid, _ = prepare("BPR", epochs=2)
    best, result = first.fit(train, valid)
    second, *_ = prepare("BPR", epochs=4)
    second.resume_checkpoint(first.saved_model_file)
    assert (second.best_valid_score, second.best_valid_result) == (best, result)


def test_resuming_a_finished_run_changes_nothing(prepare: Callable) -> None:
    first, train, *_ = prepare("BPR", epochs=2)
    first.fit(train)
    for _ in range(2):
        again, train, *_ = prepare("BPR", epochs=2)
        again.resume_checkpoint(first.saved_model_file)
        assert again.start_epoch == 2
        again.fit(train)


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "EASE", "ItemKNN", "Pop", "DMF"])
def test_the_best_model_is_loaded_for_the_test(prepare: Callable, model: str) -> None:
    trainer, train, valid, test = prepare(model, epochs=2)
    trainer.fit(train, valid)
    metrics = trainer.evaluate(test)
    other, train, _, test = prepare(model, epochs=2, seed=7)
    other.eval_collector.data_collect(train)
    assert other.evaluate(test, model_file=trainer.saved_model_file) == metrics


def test_only_safetensors_are_written(prepare: Callable) -> None:
    trainer, train, valid, _ = prepare("BPR", epochs=2)
    trainer.fit(train, valid)
    assert [path.suffix for path in Path("saved").iterdir()] == [".safetensors"]


def test_two_runs_of_one_second_do_not_share_a_file(prepare: Callable) -> None:
    names = {prepare("BPR", seed=3)[0].saved_model_file for _ in range(3)}
    assert len(names) == 3
    assert all("BPR-tiny-seed_3-" in name for name in names)


def test_a_checkpoint_of_another_model_is_refused_in_one_line(prepare: Callable) -> None:
    trainer, train, *_ = prepare("BPR", epochs=1)
    trainer.fit(train)
    other = prepare("DMF")[0]
    with pytest.raises(InputError, match="a checkpoint of BPR, not of DMF"):
        other.resume_checkpoint(trainer.saved_model_file)
    larger = prepare("BPR", embedding_size=16)[0]
    with pytest.raises(InputError, match="does not fit this BPR") as error:
        larger.resume_checkpoint(trainer.saved_model_file)
    assert "\n" not in str(error.value)


def test_data_and_model_are_made_again_from_a_checkpoint(prepare: Callable) -> None:
    from recbole.quick_start import load_data_and_model

    trainer, train, valid, test = prepare("BPR", epochs=2)
    trainer.fit(train, valid)
    config, model, data, *loaders = load_data_and_model(trainer.saved_model_file)
    assert (config["embedding_size"], data.user_num, len(loaders)) == (8, 21, 3)
    other = prepare("BPR")[0]
    other.model = model
    assert other.evaluate(loaders[2], load_best_model=False) == trainer.evaluate(test)


def test_a_model_starts_from_the_weights_of_another(prepare: Callable) -> None:
    import torch

    trainer, train, *_ = prepare("BPR", epochs=1)
    trainer.fit(train)
    options = {"train_method": "after_pretrain", "pre_model_path": trainer.saved_model_file}
    model = prepare("ConvNCF", cnn_channels=[1, 4], cnn_kernels=[2], cnn_strides=[2], **options)
    assert torch.equal(model[0].model.user_embedding.weight, trainer.model.user_embedding.weight)


def test_pretraining_is_saved_and_read_again(prepare: Callable) -> None:
    options = {"hidden_size": 8, "inner_size": 8, "n_layers": 1, "train_neg_sample_args": None}
    options |= {"item_attribute": "tag", "load_col": {"inter": "*", "item": "*"}}
    Path("dataset/tiny/tiny.item").write_text(
        "item_id:token\ttag:token_seq\n" + "".join(f"{i}\tx y\n" for i in range(15))
    )
    first, train, *_ = prepare("S3Rec", pretrain_epochs=1, save_step=1, **options)
    first.fit(train)
    assert first.saved_model_file.endswith("S3Rec-tiny-1.safetensors")
    prepare("S3Rec", train_stage="finetune", pre_model_path=first.saved_model_file, **options)


def test_training_prints_no_warning(prepare: Callable) -> None:
    trainer, train, *_ = prepare("BPR", epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        trainer.fit(train)


@pytest.mark.parametrize("learner", ["adam", "adamw"])
def test_optimizers_are_fused(prepare: Callable, learner: str) -> None:
    assert prepare("BPR", learner=learner)[0].optimizer.defaults["fused"]
