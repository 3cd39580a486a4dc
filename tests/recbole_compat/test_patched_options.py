"""Each patch of RecBole's configuration: values are YAML, and `use_gpu` is respected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from llm4rec_recbole.yaml_files import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("5E3", 5000.0),
        (".5", 0.5),
        ("True", True),
        ("false", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("", ""),
        ("adam", "adam"),
        ("[1, 2]", [1, 2]),
        ("['ItemCoverage','NDCG']", ["ItemCoverage", "NDCG"]),
        ("{'RS':[0.8,0.1,0.1],'mode':'full'}", {"RS": [0.8, 0.1, 0.1], "mode": "full"}),
        ("{distribution: popularity}", {"distribution": "popularity"}),
        ("[5,inf)", "[5,inf)"),
        ("0,1", "0,1"),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),
        ("NDCG@10", "NDCG@10"),
        ("a: b: c", "a: b: c"),
    ],
)  # fmt: skip
def test_a_value_is_yaml(text: str, value: Any) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def config(model: str = "BPR", **options: Any) -> Any:
    from recbole.config import Config

    return Config(model, "ml-100k", config_dict=options)


def test_an_option_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "__import__('pathlib').Path('run').touch()"
    monkeypatch.setattr(sys, "argv", ["x", f"--comment={code}"])
    assert config(note=code)["note"] == code
    assert not Path("run").exists()


def test_a_search_space_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from recbole.trainer.hyper_tuning import HyperTuning

    hyperopt = ModuleType("hyperopt")
    hyperopt.hp = SimpleNamespace(choice=lambda name, values: values)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hyperopt", hyperopt)
    code = "[__import__('pathlib').Path('run').touch()]"
    Path("space").write_text(f"layers choice [1, 2, 3]\nlr choice {code}\n")
    space = HyperTuning._build_space_from_file("space")
    assert space["layers"] == [1, 2, 3]
    assert not Path("run").exists()


def test_numpy_has_the_names_that_recbole_uses() -> None:
    import numpy as np

    config()
    assert vars(np)["float"] is float
    assert vars(np)["str"] is str


def test_use_gpu_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "0")
    assert config(use_gpu=False)["device"].type == "cpu"
    assert config(use_gpu=True)["device"].type == "cuda"


@pytest.mark.parametrize("model", ["GRU4Rec", "Caser", "S3Rec"])
@pytest.mark.parametrize("protocol", ["loo", "recbole"])
def test_full_cross_entropy_needs_no_option_to_do_without_negatives(
    model: str, protocol: str
) -> None:
    for loss, negatives in (("CE", "none"), ("BPR", "uniform")):
        found = config(model, protocol=protocol, loss_type=loss)["train_neg_sample_args"]
        assert found["distribution"] == negatives


def test_negatives_that_full_cross_entropy_cannot_use_are_still_refused() -> None:
    with pytest.raises(ValueError, match="should be None"):
        config("GRU4Rec", train_neg_sample_args={"distribution": "uniform"})


def test_property_files_are_laid_over_recboles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm4rec_recbole import config as properties
    from llm4rec_recbole import registry

    for name, text in {
        "overall": "protocol: strict\nlearning_rate: 0.5\nseed: 1",
        "model/BPR": "learning_rate: 0.25",
        "protocol/strict": "topk: [7]",
        "protocol/other": "topk: [8]",
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(properties, "folder", lambda: tmp_path)
    monkeypatch.setattr(registry, "properties_folder", lambda: tmp_path)
    found = config(seed=9)
    assert [found[key] for key in ("learning_rate", "topk", "seed")] == [0.25, [7], 9]
    assert config(protocol="other")["topk"] == [8]
    assert config("FISM")["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("model", "order", "metric"),
    [("BPR", "RO", "Recall"), ("FPMC", "TO", "Recall"), ("FM", "RO", "AUC")],
)
def test_under_recbole_s_protocol_each_family_is_split_and_judged_as_recbole_does(
    model: str, order: str, metric: str
) -> None:
    found = config(model, protocol="recbole")
    assert (found["eval_args"]["order"], found["metrics"][0]) == (order, metric)


def test_knowledge_aware_models_find_their_graph_in_ml_100k() -> None:
    assert {"kg", "link"} <= set(config("CKE", protocol="recbole")["load_col"])


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, llm4rec_recbole;"
        "print([m for m in ('torch', 'numpy', 'pandas', 'recbole', 'yaml') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_recbole_imported_first_is_patched_too() -> None:
    code = (
        "import sys, types; sys.modules['ray'] = ray = types.ModuleType('ray');"
        "ray.tune = None; import recbole.config; import llm4rec_recbole;"
        "from recbole.config import Config;"
        "print(Config('BPR', 'ml-100k', config_dict={'note': '1 + 1'})['note'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "1 + 1"
