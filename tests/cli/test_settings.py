"""An option that the other options leave without effect is refused, whoever makes the Config."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.checks import checked_config

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
    ("BPR", RECBOLE | {"tail_ratio": 0.2}, "only TailPercentage reads tail_ratio"),
    ("BPR", {"learner": "sparse_adam", "weight_decay": 0.1}, "does not read weight_decay"),
    ("BPR", {"epochs": None}, "BPR does not choose its number of epochs"),
    ("CKE", {"shuffle": False}, "CKE does not read shuffle"),
    ("GRU4Rec", {"transform": "crop_itemseq", "eta": 0.5}, "rows that GRU4Rec does not read"),
    ("GRU4Rec", {"transform": "user_defined"}, "RecBole's transform user_defined is empty"),
    ("SHAN", {"transform": "mask_itemseq"}, "rows that SHAN does not read"),
    ("BPR", split(split={"TS": [8, 1, 1]}), "splits by time (set eval_args.order to TO)"),
    ("BPR", split(split={"LS": "valid_and_test"}, group_by="none"), "LS splits the rows of each"),
    ("BPR", split(mode="labeled"), "eval_args.mode is labeled, but Recall ranks items"),
    ("FM", split(mode="labeled") | LABELS | {"topk": 5}, "topk is not read: auc has no cut-off"),
    ("SASRec", {"enable_amp": True}, "SASRec does not read enable_amp"),
    ("BERT4Rec", RECBOLE | {"enable_amp": True}, "BERT4Rec does not read enable_amp"),
    ("EnhancedGenRec", RECBOLE | {"shuffle": False}, "EnhancedGenRec does not read shuffle"),
    ("BPR", {"NEG_PREFIX": ""}, "NEG_PREFIX is ''"),
    ("GRU4Rec", {"LIST_SUFFIX": ""}, "LIST_SUFFIX is ''"),
    ("Pop", {"USER_ID_FIELD": "item_id"}, "USER_ID_FIELD and ITEM_ID_FIELD are both item_id"),
    ("Pop", {"TIME_FIELD": "rating"}, "TIME_FIELD and RATING_FIELD are both rating"),
    ("NeuMF", {"LABEL_FIELD": "item_id"}, "ITEM_ID_FIELD and LABEL_FIELD are both item_id"),
    ("GRU4Rec", {"POSITION_FIELD": "user_id"}, "USER_ID_FIELD and POSITION_FIELD are both"),
    ("CKE", RECBOLE | {"HEAD_ENTITY_ID_FIELD": "tail_id"}, "TAIL_ENTITY_ID_FIELD are both tail_id"),
]
VALUES = [
    ({"metrics": []}, "metrics is []"),
    ({"topk": []}, "topk is []"),
    ({"gpu_id": "abc"}, "gpu_id is abc"),
    ({"clip_grad_norm": {"max_norm": -1.0}}, "clip_grad_norm.max_norm is -1.0"),
    ({"clip_grad_norm": {"norm_type": 2.0}}, "clip_grad_norm has no max_norm"),
    ({"tail_ratio": 0.0}, "tail_ratio is 0.0"),
]
#: Values of RecBole's model options: choices, ranges and lists that its files do not state.
OF_MODELS = [
    ("SASRec", {"hidden_act": "swishy"}, "hidden_act is swishy (one of gelu, relu, swish"),
    ("FDSA", {"hidden_act": "swishy"}, "hidden_act is swishy (one of gelu, relu, swish"),
    ("EASE", {"reg_weight": -1.0}, "reg_weight is -1.0 (a number in [0, inf))"),
    ("SLIMElastic", {"alpha": -1.0}, "alpha is -1.0 (a number in [0, inf))"),
    ("SLIMElastic", {"l1_ratio": 5.0}, "l1_ratio is 5.0 (a number in [0, 1])"),
    ("NeuMF", {"mlp_hidden_size": []}, "mlp_hidden_size is [] (a list of 1 or more: each a"),
    ("NeuMF", {"mlp_hidden_size": [8, 0]}, "mlp_hidden_size is [8, 0]"),
    ("BPR", {"preload_weight": {"iid": "vector"}}, "BPR does not read preload_weight"),
    ("SASRec", {"numerical_features": ["rating"]}, "SASRec reads no features, and so not num"),
    ("BPR", {"discretization": {"rating": {"method": "ED"}}}, "reads no features, and so not dis"),
    ("SASRecF", {"selected_features": []}, "selected_features is []"),
]


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [*REFUSED, *(("BPR", RECBOLE | given, message) for given, message in VALUES), *OF_MODELS],
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


def test_a_transformation_that_the_model_reads_needs_its_option(own_folder) -> None:
    from recbole.config import Config
    from recbole.model.sequential_recommender import GRU4Rec

    class Crops(GRU4Rec):
        def __init__(self, config: Any, dataset: Any) -> None:
            super().__init__(config, dataset)
            self.rows = config["CROP_ITEM_SEQ"]

    given = {"transform": "crop_itemseq", "loss_type": "CE"}
    with pytest.raises(InputError, match="transform crop_itemseq needs eta"):
        Config(Crops, "shop", config_dict=dict(given))
    assert Config(Crops, "shop", config_dict=given | {"eta": 0.5})["eta"] == 0.5


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
            "FM",
            ["--numerical_features=[brand]"],
            "numerical_features names brand, a column of type",
        ),
        ("FM", ["--normalize_field=[brand]"], "(it reads columns of type float)"),
        ("BPR", ["--seq_len={brand: 2}"], "it reads columns of type token_seq or float_seq"),
        ("BPR", ["--alias_of_item_id=[rating]"], "alias_of_item_id names rating, a column of type"),
        (
            "BPR",
            ["--val_interval={title: [a]}"],
            "val_interval names title, a column of type token_seq",
        ),
        ("BPR", ["--unload_col={inter: [user_id]}"], "unload_col hides user_id, which this run"),
        (
            "BPR",
            ["--protocol=loo", "--unload_col={inter: [timestamp]}"],
            "unload_col hides timestamp",
        ),
        ("FM", ["--protocol=loo", "--normalize_all=True"], "normalize_all scales the times"),
        (
            "FM",
            ["--protocol=loo", "--normalize_field=[timestamp]"],
            "normalize_field scales timestamp",
        ),
        (
            "BPR",
            ["--eval_args={mode: labeled}", "--metrics=[AUC]", "--valid_metric=AUC"],
            "AUC is a metric of labels, and nothing makes them",
        ),
        ("FM", ["--protocol=loo"], "FM learns from labels, and nothing makes them"),
        ("BPR", ["--encoding=utf-16"], "shop.inter:1: not valid utf-16"),
        (
            "SASRecF",
            ["--selected_features=[titel]"],
            "selected_features names titel, which no file",
        ),
        ("BPR", ["--eval_args={order: TO}", "--TIME_FIELD=when"], "column 'when' is missing"),
        ("BPR", ["--NEG_PREFIX=old_"], "makes a column old_item_id, and this"),
        ("SASRec", ["--ITEM_LIST_LENGTH_FIELD=n"], "the run makes a column n, and this file has"),
        ("GenRec", ["--llm=scratch-0x2"], "llm is scratch-0x2 (scratch-<width>x<layers>"),
        ("GenRec", ["--llm=scratch-8x1"], "scratch-8x1 has 1 layers, llm_layers is 2"),
        (
            "EnhancedGenRec",
            ["--text_encoder=hash-0"],
            "text_encoder is hash-0 (hash-1 to hash-4096",
        ),
        ("EnhancedGenRec", ["--text_encoder=/no/folder"], "no text encoder '/no/folder'"),
        (
            "SASRec",
            ["--method=EnhancedGenRec"],
            "method is EnhancedGenRec, the name of another model",
        ),
        (
            "SASRec",
            ["--method=EnhancedGenRec_none"],
            "the name of another model than SASRec (such as",
        ),
        ("EASE", ["--method=BPR"], "method is BPR, the name of another model than EASE"),
        ("SumOfReferences", ["--reference_weights=[1.0]"], "1 reference_weights for 2 references"),
        ("SumOfReferences", ["--reference_weights=[0.0, 0.0]"], "all reference_weights are 0"),
        ("S3Rec", [], "item_attribute names class, which no file has"),
        ("SASRecF", [], "selected_features names class, which no file has"),
        (
            "FM",
            ["--numerical_features=[n]", "--load_col={inter: [user_id, item_id]}"],
            "numerical_features names n, which load_col does not read",
        ),
        ("S3Rec", ["--epochs=1"], "epochs is not read with train_stage: pretrain (--pretrain_e"),
        ("RaCT", ["--valid_metric=MRR@10"], "valid_metric is not read with train_stage: actor_pre"),
        ("S3Rec", ["--train_stage=finetune"], "train_stage: finetune needs pre_model_path"),
        (
            "S3Rec",
            ["--train_stage=finetune", "--pretrain_epochs=9", "--pre_model_path=x"],
            "pretrain_epochs is not read with train_stage: finetune",
        ),
        (
            "RaCT",
            ["--train_stage=finetune", "--pre_model_path=x"],
            "x: there is no such file, which pre_model_path names",
        ),
        ("ConvNCF", ["--train_method=after_pretrain"], "after_pretrain needs pre_model_path"),
        ("NeuMF", ["--mf_pretrain_path=x"], "mf_pretrain_path is not read with use_pretrain"),
        ("NAIS", ["--pretrain_path=x"], "x: there is no such file, which pretrain_path names"),
        ("P5", ["--t5=/no/folder"], "no T5 '/no/folder': there is no such folder"),
        (
            "P5",
            ["--beam_width=5"],
            "beam_width is not read with decoding: exhaustive (--decoding=beam or unconstrained)",
        ),
        ("BPR", ["--load_col={inter: [user_id], inter: [item_id]}"], "inter is given twice"),
    ],
)
def test_what_the_files_lack_is_one_line_before_data_are_read(
    capsys, own_folder, monkeypatch, model, argv, line
) -> None:
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    Path("dataset/shop").mkdir(parents=True)
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    head += "\told_item_id:token\tn:float\n"
    Path("dataset/shop/shop.inter").write_text(f"{head}u1\ti1\t4\t7\ti1\t1\n")
    item = "item_id:token\tbrand:token\ttitle:token_seq\ni1\tb\ta thing\n"
    Path("dataset/shop/shop.item").write_text(item)
    options = [f"--model={model}", "--dataset=shop"]
    options += ["--protocol=recbole"] * ("--protocol=loo" not in argv)
    load = ["--load_col=~"] * ("--load_col" not in " ".join(argv))
    assert run_recbole([*options, *load, *argv]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


@pytest.fixture
def lines(own_folder, monkeypatch) -> list[str]:
    """Options of a run on 12 users, 6 interactions each."""
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    Path("dataset/shop").mkdir(parents=True)
    rows = [f"u{u}\ti{(u + 2 * t) % 12}\t{100 + t}\n" for u in range(12) for t in range(6)]
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    Path("dataset/shop/shop.inter").write_text(head + "".join(rows))
    return ["--dataset=shop", "--load_col=~", "--epochs=1", "--show_progress=False"]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--model=BPR", "--learner=sparse_adam"], "sparse gradients, and BPR has none (choose"),
        (["--model=LightGCN", "--enable_amp=True"], "LightGCN cannot train in mixed precision"),
    ],
)
def test_what_torch_cannot_train_is_one_line(capsys, lines, argv, line) -> None:
    assert run_recbole([*lines, "--quiet=True", *argv]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert line in err


def test_a_script_that_calls_the_trainer_obeys_what_the_main_path_obeys(lines) -> None:
    """The steps of RecBole's documentation: `epochs: ~`, `item_init` and choices on validation."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    tiny = {"llm": "scratch-8x1", "llm_layers": 1, "text_encoder": "hash-8", "epochs": None}
    runs = [("EnhancedGenRec", tiny), ("SASRec", {"epochs": 1, "item_init": "spectral"})]
    for model, given in runs:
        given |= {"load_col": None, "show_progress": False, "learning_rate": 0.0}
        config = Config(model, "shop", config_dict=given)
        init_seed(config["seed"], True)
        loaders = data_preparation(config, create_dataset(config))
        network = get_model(model)(config, loaders[0].dataset)
        before = network.item_embedding.weight.detach().clone()
        trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
        trainer.fit(*loaders[:2], show_progress=False)
        assert config["epochs"] == (28 if model == "EnhancedGenRec" else 1) == trainer.epochs
        assert network.is_prepared
        assert (network.item_embedding.weight != before).any()  # the learning rate is 0


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"topk": (5, 10)}, "topk", [5, 10]),
        ({"topk": np.array([5, 10])}, "topk", [5, 10]),
        ({"epochs": np.int64(2)}, "epochs", 2),
        ({"data_path": Path("dataset")}, "data_path", str(Path("dataset", "shop"))),
        (
            {"load_col": {"inter": ("user_id", "item_id")}},
            "load_col",
            {"inter": ["user_id", "item_id"]},
        ),
    ],
)
def test_an_option_may_be_an_object_of_python(lines, given, name, value) -> None:
    from recbole.config import Config

    given = {"load_col": None} | given | RECBOLE
    for config in (
        Config("BPR", "shop", config_dict=given),
        checked_config("BPR", "shop", (), given),
    ):
        assert config[name] == value
        assert type(config[name]) is type(value)
    negatives = {"train_neg_sample_args": {"distribution": "uniform", "sample_num": np.int32(2)}}
    config = Config("BPR", "shop", config_dict=RECBOLE | negatives)
    assert type(config["train_neg_sample_args"]["sample_num"]) is int


def test_a_number_as_text_is_shown_as_text(lines) -> None:
    with pytest.raises(InputError, match=r"epochs is '2' \(a whole number"):
        checked_config("BPR", "shop", (), {"epochs": "2"})


@pytest.mark.parametrize("files", ["a.yaml,my b.yaml", "a.yaml c.yaml", "[a.yaml, c.yaml]"])
def test_several_option_files_are_given_as_in_recbole_too(lines, files) -> None:
    Path("a.yaml").write_text("seed: 1\n")
    Path("my b.yaml").write_text("seed: 2\n")
    Path("c.yaml").write_text("seed: 2\n")
    assert run_recbole([*lines, "--model=Pop", f"--config_files={files}"]) == 0
    (record,) = Path().rglob("runs/**/*.json")
    assert record.name == "seed_2.json"


def test_an_option_file_names_no_other_one(capsys, lines) -> None:
    Path("a.yaml").write_text("seed: 1\nconfig_files: b.yaml\n")
    assert run_recbole([*lines, "--model=BPR", "--config_files=a.yaml"]) == 2
    assert "a.yaml:2: config_files is an argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "noted"), [({"gpu_id": 7}, True), ({"gpu_id": ""}, False), ({}, False)]
)
def test_a_gpu_that_is_not_there_is_noted(capsys, lines, monkeypatch, given, noted) -> None:
    from llm4rec_recbole.training.run import load_config

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    load_config("Pop", "shop", options={"load_col": None} | given)
    assert ("there is no GPU 7: this run is on the CPU" in capsys.readouterr().err) == noted
