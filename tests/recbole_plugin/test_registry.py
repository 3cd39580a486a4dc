"""RecBole finds this project's classes by name, its own classes still, and nothing else."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import llm4rec_recbole  # noqa: F401
from llm4rec_recbole import registry
from llm4rec_recbole.recbole_plugin import extensions


@pytest.fixture
def our_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of ours with classes that no table lists yet."""
    module = ModuleType("ours")
    attributes = {"batches": "causal", "schedule": "warmup_cosine"}
    for name in ("NewModel", "BPR"):
        setattr(module, name, type(name, (), attributes))
    monkeypatch.setitem(sys.modules, "ours", module)
    return module


def test_a_listed_model_is_found(our_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from recbole.utils import get_model

    monkeypatch.setitem(registry.MODELS, "NewModel", "ours")
    assert get_model("NewModel") is our_module.NewModel


def test_every_module_that_bound_get_model_sees_ours() -> None:
    import recbole.config.configurator
    import recbole.quick_start.quick_start
    import recbole.utils

    ours = recbole.utils.utils.get_model
    assert "extensions" in ours.__code__.co_filename
    assert recbole.utils.get_model is ours
    assert recbole.config.configurator.get_model is ours
    assert recbole.quick_start.quick_start.get_model is ours


def test_our_model_comes_before_recboles(
    our_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recbole.utils import get_model

    assert get_model("BPR").__module__ == "recbole.model.general_recommender.bpr"
    monkeypatch.setitem(registry.MODELS, "BPR", "ours")
    assert get_model("BPR") is our_module.BPR


@pytest.mark.parametrize("name", ["NoSuchModel", "XGBoost"])
def test_a_model_that_is_not_there_is_named(name: str) -> None:
    from recbole.utils import get_model

    with pytest.raises(ValueError, match=name):
        get_model(name)


def test_a_model_names_its_trainer_and_its_batches(
    our_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recbole.data.dataset
    from recbole.utils import ModelType, get_trainer

    from llm4rec_recbole.training.dataset import WindowDataset
    from llm4rec_recbole.training.trainer import ScheduledTrainer

    assert get_trainer(ModelType.SEQUENTIAL, "NewModel").__name__ == "Trainer"
    assert not hasattr(recbole.data.dataset, "NewModelDataset")
    monkeypatch.setitem(registry.MODELS, "NewModel", "ours")
    assert get_trainer(ModelType.SEQUENTIAL, "NewModel") is ScheduledTrainer
    assert recbole.data.dataset.NewModelDataset is WindowDataset


def test_a_model_of_recboles_trains_on_windows_too() -> None:
    import recbole.data.dataset

    from llm4rec_recbole.training.dataset import WindowDataset

    assert recbole.data.dataset.BERT4RecDataset is WindowDataset
    assert not hasattr(recbole.data.dataset, "GRU4RecDataset")


def test_a_metric_of_ours_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from recbole.evaluator import register

    module = ModuleType("metric_of_ours")

    class Surprise:
        metric_need, metric_type, smaller = ("rec.items",), "ranking", True

    module.Surprise = Surprise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "metric_of_ours", module)
    monkeypatch.setitem(registry.METRICS, "Surprise", "metric_of_ours")
    for table in ("metrics_dict", "metric_information", "metric_types", "smaller_metrics"):
        monkeypatch.setattr(register, table, getattr(register, table).copy())
    extensions.add_metrics(register)
    assert register.metrics_dict["surprise"] is Surprise
    assert register.metric_information["surprise"] == ("rec.items",)
    assert "surprise" in register.smaller_metrics
