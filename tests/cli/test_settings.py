"""An option that the other options leave without effect is refused, whoever makes the Config."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.errors import InputError

RECBOLE = {"protocol": "recbole"}
LABELS = {"threshold": {"rating": 4}, "metrics": ["AUC"], "valid_metric": "AUC"}


def split(**given: Any) -> dict[str, Any]:
    return RECBOLE | {"eval_args": given}


NO_VALIDATION = [split(split={"LS": "test_only"}, order="TO"), split(split={"RS": [8, 0, 2]})]
REFUSED = [
    ("BPR", {"wandb_project": "mine"}, "wandb_project is not read without log_wandb"),
    ("BPR", {"enable_scaler": True}, "enable_scaler scales nothing on a CPU"),
    ("BPR", {"valid_metric_bigger": False}, "NDCG@10 is better when it is larger"),
    ("BPR", {"save_dataset": True}, "save_dataset is about a pickle"),
    ("BPR", {"dataloaders_save_path": "x.pth"}, "dataloaders_save_path is about a pickle"),
    ("BPR", {"eval_step": 0, "stopping_step": 3}, "stopping_step is not read: eval_step is 0"),
    *(
        ("BPR", given | {"valid_metric": "MRR@10"}, "nothing to validate on")
        for given in NO_VALIDATION
    ),
    ("BPR", RECBOLE | {"tail_ratio": 0.2}, "only the metric TailPercentage reads tail_ratio"),
    ("BPR", split(split={"TS": [8, 1, 1]}), "splits by time (set eval_args.order to TO)"),
    ("BPR", split(split={"LS": "valid_and_test"}, group_by="none"), "LS splits the rows of each"),
    ("BPR", split(mode="labeled"), "eval_args.mode is labeled, but Recall ranks items"),
    ("FM", split(mode="labeled") | LABELS | {"topk": 5}, "topk is not read: auc has no cut-off"),
    ("SASRec", {"enable_amp": True}, "SASRec does not read enable_amp"),
    ("BERT4Rec", RECBOLE | {"enable_amp": True}, "BERT4Rec does not read enable_amp"),
    ("EnhancedGenRec", RECBOLE | {"shuffle": False}, "EnhancedGenRec does not read shuffle"),
]
VALUES = [
    ({"metrics": []}, "metrics is []"),
    ({"topk": []}, "topk is []"),
    ({"gpu_id": "abc"}, "gpu_id is abc"),
    ({"clip_grad_norm": {"max_norm": -1.0}}, "clip_grad_norm.max_norm is -1.0"),
    ({"clip_grad_norm": {"norm_type": 2.0}}, "clip_grad_norm has no max_norm"),
    ({"tail_ratio": 0.0}, "tail_ratio is 0.0"),
]


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [*REFUSED, *(("BPR", RECBOLE | given, message) for given, message in VALUES)],
)
def test_an_option_without_effect_is_refused_by_every_config(own_folder, model, given, message):
    from recbole.config import Config

    with pytest.raises(InputError, match=re.escape(message)):
        Config(model, "shop", config_dict=dict(given))


@pytest.mark.parametrize(
    "given",
    [
        {"eval_step": 0},
        {"valid_metric_bigger": True},
        {"gpu_id": "0,1"},
        {"gpu_id": -1},
        {"clip_grad_norm": {"max_norm": 1.0}},
        RECBOLE | {"eval_step": 2, "valid_metric": "MRR@10"},
        RECBOLE | {"tail_ratio": 0.2, "metrics": ["MRR", "TailPercentage"]},
        split(split={"TS": [8, 1, 1]}, order="TO"),
        split(split={"LS": "valid_and_test"}, order="TO", group_by="user"),
        split(group_by="None"),
        *NO_VALIDATION,
    ],
)
def test_an_option_that_is_obeyed_is_accepted(own_folder, given) -> None:
    from recbole.config import Config

    assert Config("BPR", "shop", config_dict=dict(given))["model"] == "BPR"


def test_a_missing_wandb_is_named_before_data_are_read(own_folder, monkeypatch) -> None:
    from recbole.config import Config

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "wandb" else find(name, *rest),
    )
    with pytest.raises(InputError, match="log_wandb needs the package wandb"):
        Config("BPR", "shop", config_dict={"log_wandb": True})


@pytest.mark.parametrize(
    ("model", "argv", "line"),
    [
        (
            "BPR",
            ["--eval_args={mode: labeled}", "--metrics=[AUC]", "--valid_metric=AUC"],
            "AUC is a metric of labels, and nothing makes them",
        ),
        ("FM", ["--protocol=loo"], "FM learns from labels, and nothing makes them"),
        ("BPR", ["--encoding=utf-16"], "shop.inter:1: not valid utf-16"),
        ("BPR", ["--load_col={inter: [user_id], inter: [item_id]}"], "inter is given twice"),
    ],
)
def test_what_the_files_lack_is_one_line_before_data_are_read(
    capsys, own_folder, monkeypatch, model, argv, line
) -> None:
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    Path("dataset/shop").mkdir(parents=True)
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    Path("dataset/shop/shop.inter").write_text(f"{head}u1\ti1\t4\t7\n")
    options = [f"--model={model}", "--dataset=shop"]
    options += ["--protocol=recbole"] * ("--protocol=loo" not in argv)
    load = ["--load_col=~"] * ("load_col" not in argv[0])
    assert run_recbole([*options, *load, *argv]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
