"""What users of this kind of software ask for and cannot get: one line, before data are read.

A run never ends in a traceback.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from llm4rec_recbole import registry
from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.errors import InputError
from tests.helpers.small_shop import N_ITEMS, PARTS, RECBOLE, command, rows, write


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([PARTS], "protocol loo does not read benchmark_filename"),
        (["--eval_args={split: {RS: [0.8,0.1,0.1]}, mode: uni100}"], "loo does not read eval_args"),
        (["--metrics=[Recall,Precision]"], "loo does not read metrics"),
        (["--topk=[1,20]"], "loo does not read topk"),
        (["--valid_metric=MRR@20"], "valid_metric is MRR@20"),
        (["--nproc=2"], "nproc"),
        (
            [RECBOLE, "--topk=[10,100]", "--valid_metric=NDCG@10"],
            "topk is 100, but shop has 40 items",
        ),
        ([RECBOLE, "--eval_args={split: {RS: [0.8,0.2]}}"], "eval_args.split.RS is [0.8, 0.2]"),
        ([RECBOLE, "--eval_args={split: {RS: [0.8,0.2,0]}}"], "the first and the last above 0"),
        ([RECBOLE, "--eval_args={split: {LS: valid_only}}"], "every run is tested"),
        ([RECBOLE, "--eval_args={splits: {LS: valid_and_test}}"], "did you mean split?"),
        ([RECBOLE, "--metrics=[Recal]"], "did you mean Recall?"),
        (["--resume"], "nothing to resume"),
        (["--item_candidates=some"], "item_candidates is some (one of all, interacted)"),
    ],
)
def test_an_option_that_cannot_be_obeyed_is_one_line(capsys, argv, line) -> None:
    model = "BPR" if argv == ["--resume"] else "EASE"
    status, out, err = command(capsys, *argv, model=model)
    assert status == 2
    assert not out
    assert line in err
    assert err.count("\n") == 1
    assert not Path("work/runs").exists()


NEGATIVES = "--train_neg_sample_args={distribution: uniform, sample_num: 1, "


@pytest.mark.parametrize(
    ("model", "argv", "line"),
    [
        ("Pop", [RECBOLE, "--valid_metric=NDCG"], "valid_metric is NDCG (such as NDCG@10)"),
        (
            "FM",
            [
                *(RECBOLE, "--eval_args={mode: labeled}", "--threshold={rating: 4}"),
                *("--metrics=[AUC]", "--valid_metric=AUC@10"),
            ],
            "valid_metric is AUC@10 (AUC has no cut-off)",
        ),
        ("BPR", ["--train_neg_sample_args=~"], "the loss of BPR needs negatives"),
        ("BPR", ["--train_neg_sample_args={distribution: none}"], "the loss of BPR needs"),
        ("GRU4Rec", [RECBOLE, "--loss_type=BPR", "--train_neg_sample_args=~"], "needs negatives"),
        ("NeuMF", ["--train_neg_sample_args=~"], "NeuMF learns from labels, and nothing makes"),
        ("BPR", [f"{NEGATIVES}dynamic: true}}"], "dynamic needs candidate_num"),
        ("BPR", [f"{NEGATIVES}candidate_num: 5}}"], "candidate_num is 5, but nothing reads it"),
        ("BPR", [f"{NEGATIVES}alpha: 0.5}}"], "alpha is 0.5, but nothing reads it"),
        ("BPR", [f"{NEGATIVES}strata: 5}}"], "strata is 5, but nothing reads it"),
        ("BPR", ["--threshold={rating: 4}"], "threshold makes labels, but BPR does not learn from"),
        (
            "FM",
            [f"{NEGATIVES}dynamic: false}}", "--threshold={rating: 4}"],
            "threshold makes labels, but FM draws negatives",
        ),
        ("Pop", ["--val_interval={rating: '3+'}"], "val_interval: intervals is {'rating': '3+'}"),
        ("Pop", ["--val_interval={rating: [3]}"], "rating is of type float: give an interval"),
        ("Pop", ["--val_interval={user_id: '[1,2]'}"], "type token: give a list of values"),
        ("Pop", ["--val_interval={ratings: '[3,4]'}"], "no file has; did you mean rating?"),
        ("Pop", ["--unused_col={inter: [ratings]}"], "unused_col names ratings, which no file"),
        ("FM", ["--numerical_features=[price]"], "numerical_features names price, which no"),
    ],
)
def test_an_option_without_effect_or_rows_without_negatives_are_refused(capsys, model, argv, line):
    status, _, err = command(capsys, *argv, model=model)
    assert status == 2
    assert line in err
    assert err.count("\n") == 1


def test_parts_are_not_split_and_have_the_same_columns(capsys) -> None:
    for part in ("train", "valid", "test"):
        write(f"parts/parts.{part}.inter", rows())
    split = "--eval_args={split: {RS: [0.8,0.1,0.1]}}"
    status, _, err = command(capsys, RECBOLE, PARTS, split, data="parts")
    assert status == 2
    assert "eval_args.split is not read with benchmark_filename" in err
    Path("dataset/parts/parts.test.inter").write_text("user_id:token\titem_id:token\nu1\ti1\n")
    status, _, err = command(capsys, RECBOLE, PARTS, data="parts")
    assert status == 2
    assert "parts.test.inter:1: the columns are not those of parts.train.inter" in err


@pytest.mark.parametrize("kind", ["item", "user"])
def test_an_id_that_comes_twice_is_refused_before_training(capsys, kind) -> None:
    ids = "".join(f"{kind[0]}{n % 20}\n" for n in range(N_ITEMS))
    Path(f"dataset/shop/shop.{kind}").write_text(f"{kind}_id:token\n{ids}")
    status, out, err = command(capsys)
    assert (status, out) == (2, "")
    assert f"shop.{kind}:22: {kind}_id '{kind[0]}0' comes a second time" in err


MODEL = """
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType

class Mine(GeneralRecommender):
    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.weights = torch.nn.Embedding(self.n_items, 1)

    def calculate_loss(self, rows):
        return self.weights(rows[self.ITEM_ID]).mean()

    def full_sort_predict(self, rows):
        return self.weights.weight[:, 0].expand(len(rows), -1)
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("super().__init__", "raise ValueError('odd'); super().__init__", "mine.py:10: ValueError"),
        ("rows[self.ITEM_ID]", "rows['price']", "mine.py:14: KeyError: 'price'"),
        (".mean()", ".mean() * float('nan')", "Training loss is nan"),
        ("def calculate_loss", "def loss", "the model does not implement calculate_loss"),
        (".expand", "[1:].expand", "have shape (30, 40), expected (30, 41)"),
    ],
)
def test_a_defect_of_a_users_model_is_named_in_one_line(
    capsys, monkeypatch, old, new, line
) -> None:
    monkeypatch.setattr(registry, "USER_MODELS", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert MODEL.count(old) == 1
    Path("mine.py").write_text(MODEL.replace(old, new))
    status, _, err = command(capsys, "--epochs=1", model="mine.py:Mine")
    assert status == 2
    assert line in err
    assert err.count("\n") == 1


LABELED = [RECBOLE, "--eval_args={mode: labeled}", "--metrics=[AUC]", "--valid_metric=AUC"]
NO_NEGATIVES = "--train_neg_sample_args=~"


@pytest.mark.parametrize(
    ("model", "argv", "line"),
    [
        (
            "FM",
            ["--LABEL_FIELD=rating", NO_NEGATIVES],
            "rating has values from 1 to 5, and the loss",
        ),
        ("FM", ["--threshold={rating: 9}", NO_NEGATIVES], "all labels of a part of the data are 0"),
        ("FM", ["--threshold={rating: 0}", NO_NEGATIVES], "FM learns nothing from them (choose"),
        ("BPR", ["--threshold={rating: 0}", *LABELED], "data are 1: auc has no value (choose"),
        (
            "NFM",
            ["--train_batch_size=1", "--threshold={rating: 3}", NO_NEGATIVES],
            "has one row, and",
        ),
        ("BPR", ["--val_interval={rating: '[6,inf)'}"], "the filters leave no interaction"),
        ("EASE", ["--reg_weight=0"], "RecBole's model fails at ease.py:"),
    ],
)
def test_data_that_an_option_makes_useless_are_refused_before_training(capsys, model, argv, line):
    single = "--load_col={inter: [user_id, item_id, rating, timestamp]}"
    if model == "EASE":  # a singular matrix: two items that the same users have
        table = [[f"u{user}", f"i{n}", "3", str(10**9 + n)] for user in range(9) for n in range(5)]
        write("shop/shop.inter", table)
    options = [f"--model={model}", "--dataset=shop", "--show_progress=false", single]
    assert run_recbole([*options, *argv]) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert line in last
    assert "train loss" not in err
    assert not out


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--load_col={inter: [user_id, item_id, timestamp], foo: [a]}", "columns of .foo, which"),
        ("--unload_col={itme: [a]}", "did you mean item?"),
        ("--unused_col={ent: [a]}", "additional_feat_suffix adds a file"),
        ("--load_col={inter: [user_id, item_id, timestamp], net: [a]}", "shop.net, which does not"),
    ],
)
def test_columns_of_a_file_that_nothing_reads_are_refused(capsys, option, line) -> None:
    assert run_recbole(["--model=Pop", "--dataset=shop", option]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("threshold={timestamp: 1000003000}", "threshold drops timestamp, which this run reads"),
        ("discretization={timestamp: {method: ED, bucket: 2}}", "discretization cuts timestamp"),
        ("normalize_field=[timestamp]", "normalize_field scales timestamp, which this run reads"),
    ],
)
def test_an_option_that_spoils_the_times_is_refused(capsys, option, line) -> None:
    """RecBole drops the column of `threshold`: found by the fuzz campaign, seed 1."""
    assert run_recbole(["--model=FM", "--dataset=shop", "--load_col=~", f"--{option}"]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", ["config_files", "data_path", "checkpoint_dir"])
def test_a_null_character_is_refused(capsys, option) -> None:
    """No file name has one: found by the fuzz campaign, seed 1."""
    assert run_recbole(["--model=Pop", "--dataset=shop", f"--{option}=a\0b"]) == 2
    assert "a\\x00b" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("model", ["SLIST", "RecencyEASE"])
def test_a_model_that_reads_the_order_needs_times(capsys, model) -> None:
    """RecBole's own protocol shuffles the rows, and they would be read in that order."""
    options = ["--dataset=shop", "--protocol=recbole", "--load_col={inter: [user_id, item_id]}"]
    assert run_recbole([f"--model={model}", *options]) == 2
    assert "but timestamp is needed" in capsys.readouterr().err.splitlines()[-1]


def test_a_validation_without_a_value_ends_the_run(capsys, monkeypatch) -> None:
    from recbole.trainer import Trainer

    monkeypatch.setattr(Trainer, "_valid_epoch", lambda *_, **__: (float("nan"), {}))
    status, _, err = command(capsys, "--epochs=3", "--eval_step=2", model="BPR")
    assert status == 2
    assert "NDCG@10 has no value after epoch 2 (choose another --valid_metric)" in err


@pytest.mark.parametrize("size", ["2", "two", "-1"])
def test_a_process_of_several_is_refused(capsys, monkeypatch, size) -> None:
    monkeypatch.setenv("WORLD_SIZE", size)
    status, _, err = command(capsys)
    assert status == 2
    assert f"WORLD_SIZE is {size}: each process would train the whole model" in err


def test_a_loss_that_a_loader_cannot_serve_is_refused(capsys) -> None:
    status, _, err = command(capsys, "--loss_type=BPR", model="BERT4Rec")
    assert status == 2
    assert "BERT4Rec does not read loss_type under protocol loo (it is always CE)" in err


def test_an_option_of_recboles_file_that_nothing_reads_is_refused(capsys) -> None:
    status, _, err = command(capsys, "--loss_type=BPR", model="RepeatNet")
    assert status == 2
    assert "RepeatNet does not read loss_type under protocol loo (it is always CE)" in err


@pytest.mark.parametrize("model", ["LightGBM", "XGBoost"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(capsys, monkeypatch, model):
    monkeypatch.setitem(sys.modules, "lightgbm", None)  # as if it was not installed
    status, _, err = command(capsys, RECBOLE, model=model)
    assert status == 2
    assert f"{model} needs the package lightgbm" in err
    assert "(pip install lightgbm xgboost)" in err


@pytest.mark.parametrize(
    ("argv", "model", "install"),
    [
        ([], "KGIN", "--no-build-isolation torch-scatter"),
        ([], "MCCLK", "--no-build-isolation torch-scatter"),
        ([], "KGAT", "dgl"),
        (["--n_cate=2"], "LDiffRec", "kmeans-pytorch"),
    ],
)
def test_a_package_of_the_training_is_looked_up_before_data_are_read(
    capsys, monkeypatch, argv, model, install
) -> None:
    find, packages = importlib.util.find_spec, ("torch_scatter", "dgl", "kmeans_pytorch")
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *parent: None if name in packages else find(name, *parent),
    )
    Path("dataset/shop/shop.inter").write_text("no header")
    status, _, err = command(capsys, RECBOLE, *argv, model=model)
    assert (status, err.count("\n")) == (2, 1)
    assert f"run_recbole: {model} needs the package " in err
    assert f"(pip install {install})" in err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"config_dict": "epochs: 1"}, "the options are epochs: 1 (a dict"),
        ({"config_file_list": [None]}, "~ is not the name of an option file"),
        ({"nproc": 0}, "nproc is 0"),
        ({"nproc": "two"}, "nproc is two"),
    ],
)
def test_an_argument_of_the_api_of_the_wrong_kind_is_refused(arguments, line) -> None:
    from recbole.quick_start import load_data_and_model, run

    with pytest.raises(InputError, match=re.escape(line)):
        run("Pop", "shop", **arguments)
    with pytest.raises(InputError, match="~ is not the name of a checkpoint file"):
        load_data_and_model(None)


def test_one_option_file_is_given_as_a_list() -> None:
    from recbole.quick_start import run_recbole

    with pytest.raises(InputError, match=r"'a.yaml' is not a list of option files"):
        run_recbole("Pop", "shop", config_file_list="a.yaml")


def test_a_config_of_a_script_refuses_a_wrong_value() -> None:
    from recbole.config import Config

    for options in ({"epochs": -1}, {"train_neg_sample_args": {"sample": 1}}):
        with pytest.raises(
            InputError, match=r"epochs is -1|no option train_neg_sample_args.sample"
        ):
            Config("BPR", "shop", config_dict=options | {"load_col": None})


@pytest.mark.parametrize("factor", [1000, 10**6, 10**9])
def test_two_units_of_time_are_refused_with_the_line(capsys, factor) -> None:
    for other in (1, 1000):
        if other != factor:
            table = rows()
            for number, row in enumerate(table):
                row[3] += "0" * (len(str(other if number % 2 else factor)) - 1)
            write("mixed/mixed.inter", table)
            status, _, err = command(capsys, data="mixed")
            assert status == 2
            assert "mixed.inter:3: the time is in" in err
