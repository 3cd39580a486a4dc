"""Property files explain every option, and promise what the committed records hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llm4rec_recbole.cli.help import options_page
from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.config import Origin, unread_options
from llm4rec_recbole.files import recbole_folder
from llm4rec_recbole.model_options import options_class
from llm4rec_recbole.option_readers import own_options, read_options
from llm4rec_recbole.options import defaults_of
from llm4rec_recbole.registry import models
from llm4rec_recbole.training.checks import check_option_values
from llm4rec_recbole.yaml_files import read_yaml

TOP = Path(__file__).resolve().parents[2]
FILES = sorted((TOP / "properties").glob("*.yaml"))
FILES += [
    file
    for kind in ("model", "protocol", "scale", "search")
    for file in sorted((TOP / "properties" / kind).glob("*.yaml"))
]
MODELS = sorted((TOP / "properties" / "model").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_property_file_has_a_header_and_values_only(file):
    text = file.read_text(encoding="utf-8")
    header, values = re.match(r"((?:#.*\n|\n)*)(.*)", text, re.DOTALL).groups()
    assert header.startswith("# ")
    assert "#" not in values
    assert "run_recbole --model=" in header or "llm4rec tune --model=" in header


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_the_values_of_a_property_file_are_of_the_kind_that_its_options_have(file):
    """The command checks what the user gives; this checks what the user does not give."""
    values = dict(read_yaml(file).values)
    model = file.stem if file.parent.name in ("model", "search") else "EnhancedGenRec"
    settings = [values]
    if file.parent.name == "search":
        first = values.pop("first_trials", [])
        tried = {
            name: of if isinstance(of, list) else [of["from"], of["to"]]
            for name, of in values.items()
        }
        settings = [{name: value} for name, choices in tried.items() for value in choices]
        settings += first
    for setting in settings:
        check_option_values(model, setting)
        if file.parent.name in ("model", "search"):
            assert set(setting) <= read_options(model, "loo") | {"transform"}


def test_the_page_of_options_is_fresh():
    assert (TOP / "docs" / "options.md").read_text(encoding="utf-8") == options_page()


@pytest.mark.parametrize("model", sorted(models()))
def test_the_defaults_of_every_model_are_accepted_and_described(model):
    """RecBole's own files included: nothing that a model needs is refused."""
    own = options_class(model)
    check_option_values(model, defaults_of(own))
    assert set(own.model_fields) <= read_options(model, "recbole") | set(own_options(model))
    file = recbole_folder() / "properties" / "model" / f"{model}.yaml"
    values = read_yaml(file).values if file.is_file() and model not in ("GenRec", "P5") else {}
    refused = list(unread_options(model, "recbole", values, dict.fromkeys(values, Origin())))
    assert not refused
    check_option_values(model, values)


def test_a_models_help_lists_its_options_with_their_defaults(capsys):
    assert run_recbole(["--model=GRU4Rec", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--hidden_size=128" in out
    assert "The number of features in the hidden state." in out
    assert run_recbole(["--help", "-m", "GenRecFusion"]) == 0
    out = capsys.readouterr().out
    assert "--lora_rank=16" in out
    assert run_recbole(["--help", "-m", "GRU4Rce"]) == 2
    assert "did you mean GRU4Rec?" in capsys.readouterr().err


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_models_file_has_its_command_and_the_score_of_the_committed_record(file):
    text = file.read_text(encoding="utf-8")
    assert f"run_recbole --model={file.stem} --dataset=ml-100k" in text
    record = TOP / "results" / "runs" / "ml-100k" / "loo" / file.stem / "seed_0.json"
    if not record.exists():
        assert "No committed record yet" in text
        return
    promised = re.search(r"HR@10 (\.?[\d.]+), NDCG@10 ([\d.]+)", text)
    assert promised, "the header promises no score"
    metrics = json.loads(record.read_text())["metrics"]["test"]["full"]
    assert float(promised[1]) == pytest.approx(metrics["hit@10"], abs=6e-4)
    assert float(promised[2]) == pytest.approx(metrics["ndcg@10"], abs=6e-4)
