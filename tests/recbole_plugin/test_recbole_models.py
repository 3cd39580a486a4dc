"""Each of RecBole's models trains on a small cut of ml-100k, or says before it what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llm4rec_recbole.registry import models
from tests.campaigns.recbole_models import attempt, models_of_recbole, write_cut

#: The package that a model needs and that is not installed with ours.
PACKAGES = {"LightGBM": "lightgbm", "XGBoost": "lightgbm", "KGAT": "dgl"}
PACKAGES |= {"KGIN": "torch_scatter", "MCCLK": "torch_scatter"}
BY_RECBOLES_ROWS = {"LightGBM", "XGBoost", "DIEN", "GRU4RecCPR", "SASRecCPR"}
#: Models that read vectors of entities, which ml-100k does not have.
NEED_ENTITIES = {"GRU4RecKG", "KSR"}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_cut(folder)
    return folder


def test_no_model_of_recbole_is_left_out() -> None:
    assert len(models_of_recbole()) == 94
    assert set(models_of_recbole()) < set(models())


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["recbole", "loo"])
@pytest.mark.parametrize("model", models_of_recbole())
def test_each_model_runs_or_says_what_it_needs(cut, monkeypatch, model, protocol) -> None:
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    end = attempt(model, protocol, cut)
    if protocol == "loo" and model in BY_RECBOLES_ROWS and end != "runs":
        assert end.endswith(("(use --protocol=recbole)", "pip install lightgbm xgboost)"))
    elif model in PACKAGES and end != "runs":
        assert (
            f"{model} needs the package {PACKAGES[model]}, which is not installed (pip install "
            in end
        )
    elif model in NEED_ENTITIES:
        assert end.endswith("cut.ent] not found.")
    else:
        assert end == "runs"
