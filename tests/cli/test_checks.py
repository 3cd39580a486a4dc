"""A run is refused before it trains, in one line, by whichever door it comes in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole.config import unread_options
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.option_readers import read_options
from llm4rec_recbole.options import RecBoleOptions, RunOptions, defaults_of
from llm4rec_recbole.registry import models
from llm4rec_recbole.training.checks import check_folders, check_option_values, checked_config

COLUMNS = {"inter": ["user_id", "item_id", "rating", "timestamp"]}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options that read a data set of 8 users and 12 items."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    rows = [f"u{u}\ti{(u + 2 * t) % 12}\t5\t{100 + t}\n" for u in range(8) for t in range(6)]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "shop.inter").write_text(head + "".join(rows))
    return {
        "data_path": str(tmp_path / "data"),
        "results_dir": str(tmp_path / "results"),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "load_col": COLUMNS,
        "show_progress": False,
        "quiet": True,
    }


REFUSED = [
    ("EASE", {"topk": [10]}, r"protocol loo does not read topk \(use --protocol=recbole\)"),
    ("EASE", {"learning_rate": 1.0}, "EASE does not read learning_rate; it reads reg_weight"),
    ("BPR", {"embeding_size": 8}, "no option --embeding_size; did you mean embedding_size"),
    ("BPR", {"epochs": "many"}, "epochs is many"),
    ("BERT4Rec", {"loss_type": "BPR"}, "BERT4Rec does not read loss_type"),
    ("BPR", {"normalize_field": ["rating"]}, "BPR reads no values that normalize_field scales"),
    ("EnhancedGenRec", {"normalize_field": ["rating"]}, "reads no values that normalize_field"),
]


@pytest.mark.parametrize(("model", "given", "message"), REFUSED)
def test_recboles_own_entry_points_pass_the_same_checks(shop, model, given, message) -> None:
    from recbole.quick_start import run_recbole

    with pytest.raises(InputError, match=message):
        run_recbole(model, "shop", config_dict=shop | given)


@pytest.mark.parametrize("option", ["eval_args", "metrics", "topk", "benchmark_filename"])
def test_a_config_made_by_hand_refuses_what_the_protocol_ignores(shop, option) -> None:
    from recbole.config import Config

    value = {"metrics": ["MRR"], "topk": [10], "benchmark_filename": ["a", "b", "c"]}
    given = {option: value.get(option, {"mode": "full"})}
    with pytest.raises(InputError, match=f"protocol loo does not read {option}"):
        Config("EASE", "shop", config_dict=shop | given)
    if option != "benchmark_filename":
        Config("EASE", "shop", config_dict=shop | given | {"protocol": "recbole"})
    assert Config("EASE", "shop", config_dict=shop | {"note_of_a_script": 1})["note_of_a_script"]


def test_a_value_that_is_in_force_anyway_is_accepted(shop) -> None:
    negatives = {"train_neg_sample_args": None}
    assert checked_config("SASRec", "shop", (), shop | negatives | {"loss_type": "CE"})
    assert checked_config("EASE", "shop", (), shop | negatives | {"epochs": 1})


def test_a_property_file_of_ours_is_for_every_model(shop) -> None:
    from llm4rec_recbole.files import properties_folder

    scale = str(properties_folder() / "scale" / "smoke.yaml")  # sets epochs, which EASE ignores
    assert checked_config("EASE", "shop", [scale], shop)["epochs"] == 1


@pytest.mark.parametrize("model", sorted(models()))
@pytest.mark.parametrize("protocol", ["loo", "temporal", "recbole"])
def test_each_option_of_each_model_is_read_under_some_protocol(model, protocol) -> None:
    read = read_options(model, protocol)
    assert set(defaults_of(RunOptions)) - {"eval_batch_users"} <= read
    assert ("eval_batch_users" in read) == (protocol != "recbole")
    assert ("topk" in read) == (protocol == "recbole")
    assert {"seed", "data_path", "load_col", "valid_metric", "train_batch_size"} <= read
    assert {"MODEL_TYPE", "device", "nproc", "local_rank"}.isdisjoint(read)
    unknown = list(unread_options(model, protocol, {"sead": 1}, {}))
    assert unknown[0][1].startswith("there is no option --sead; did you mean seed")


WRONG: list[Any] = ["word", -1.5, True, [1, ["a"]], {"a": [1]}, float("nan"), "", 10**30]


@pytest.mark.parametrize("option", sorted({*RecBoleOptions.model_fields, *RunOptions.model_fields}))
def test_a_value_of_the_wrong_kind_is_one_short_line(option) -> None:
    lines = []
    for value in WRONG:
        try:
            check_option_values("BPR", {option: value})
        except InputError as error:
            lines.append(str(error))
    assert len(lines) >= 3  # no option is of every kind
    for line in lines:
        assert option in line
        assert "\n" not in line
        assert len(line) < 200


def test_an_unused_column_orders_the_interactions_and_is_then_dropped(shop) -> None:
    from llm4rec_recbole.training.experiment import prepare

    for model in ("EASE", "GRU4Rec", "SASRec"):
        given = shop | {"unused_col": {"inter": ["timestamp"]}}
        plain, dropped = prepare(model, "shop", (), shop), prepare(model, "shop", (), given)
        assert "timestamp" in plain.data.train._dataset.inter_feat
        assert "timestamp" not in dropped.data.train._dataset.inter_feat
        for phase in ("valid", "test"):
            before, after = getattr(plain.data, phase), getattr(dropped.data, phase)
            assert (before.held_out.targets == after.held_out.targets).all()
    with pytest.raises(InputError, match="unused_col hides item_id"):
        checked_config("EASE", "shop", (), shop | {"unused_col": {"inter": ["item_id"]}})


def test_more_ranks_than_items_are_refused_before_training(shop) -> None:
    from llm4rec_recbole.training.experiment import prepare

    with pytest.raises(InputError, match=r"topk is 13, but shop has 12 items"):
        prepare("EASE", "shop", (), shop | {"protocol": "recbole", "topk": [10, 13]})


NEGATIVES = {"distribution": "uniform", "sample_num": 1, "dynamic": True, "candidate_num": 13}


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("SASRec", {"loss": "sampled", "num_negatives": 10**6}, "num_negatives is 1000000"),
        ("P5", {"decoding": "beam", "beam_width": 10**5}, "beam_width is 100000"),
        (
            "BPR",
            {
                "protocol": "recbole",
                "topk": 5,
                "valid_metric": "MRR@5",
                "eval_args": {"mode": "uni1000000"},
            },
            "eval_args.mode.valid is 1000000",
        ),
        ("BPR", {"train_neg_sample_args": NEGATIVES}, "train_neg_sample_args.candidate_num is 13"),
    ],
)
def test_more_items_to_draw_than_there_are_are_refused(shop, model, given, message) -> None:
    from llm4rec_recbole.training.experiment import prepare

    with pytest.raises(InputError, match=f"{message}, but shop has 12 items"):
        prepare(model, "shop", (), shop | given)


@pytest.mark.parametrize("header", ["user_id:token", "user_id:token\tgender:token"])
def test_groups_of_users_need_their_column_before_rows_are_read(shop, tmp_path, header) -> None:
    folder = tmp_path / "data" / "shop"
    (folder / "shop.user").write_text(f"{header}\nu1{chr(9) * header.count(chr(9))}\n")
    with open(folder / "shop.inter", "a") as file:
        file.write("a row with one column\n")
    with pytest.raises(InputError, match=r"fairness_groups is age, which .* does not have"):
        checked_config("EnhancedGenRec", "shop", (), shop | {"fairness_groups": "age"})


def test_a_column_that_is_not_there_is_named_with_its_file(shop, tmp_path) -> None:
    columns = {"inter": [*COLUMNS["inter"], "ratting"]}
    with pytest.raises(
        InputError, match=r"shop\.inter:1: .*ratting, which load_col names; did you"
    ):
        checked_config("EASE", "shop", (), shop | {"load_col": columns})
    folder = tmp_path / "data" / "ml-1m"
    folder.mkdir()
    for file in (tmp_path / "data" / "shop").iterdir():
        (folder / f"ml-1m{file.suffix}").write_text(file.read_text())
    (folder / "ml-1m.item").write_text("item_id:token\tgenre:token_seq\ni1\tDrama\n")
    given = {name: value for name, value in shop.items() if name != "load_col"}
    with pytest.raises(InputError, match=r"title, which load_col of dataset/ml-1m\.yaml names"):
        checked_config("EASE", "ml-1m", (), given)
    assert checked_config("EASE", "ml-1m", (), shop)


def test_a_copy_of_ml_100k_is_read_where_the_user_says(shop, tmp_path) -> None:
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir()
    rows = (tmp_path / "data" / "shop" / "shop.inter").read_text()
    (folder / "ml-100k.inter").write_text(rows)
    assert checked_config("EASE", "ml-100k", (), shop)["data_path"] == str(folder)
    elsewhere = shop | {"data_path": str(tmp_path)}
    assert "dataset_example" in checked_config("EASE", "ml-100k", (), elsewhere)["data_path"]


def test_folders_are_made_or_refused_before_the_first_epoch(shop, tmp_path) -> None:
    from llm4rec_recbole.training.run import run

    (tmp_path / "file").write_text("")
    config = checked_config("EASE", "shop", (), shop)
    check_folders(config)
    assert Path(shop["results_dir"]).is_dir()
    for name in ("results_dir", "checkpoint_dir"):
        given = shop | {name: str(tmp_path / "file" / "below")}
        with pytest.raises(InputError, match="file/below: cannot write"):
            run("EASE", "shop", (), given)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_own_model_classes_may_read_options_of_their_own(shop) -> None:
    from recbole.model.general_recommender import BPR

    class Mine(BPR):
        def __init__(self, config: Any, dataset: Any) -> None:
            super().__init__(config, dataset)
            self.margin = config["my_margin"]

    assert "my_margin" in read_options(Mine, "loo")
    assert "embedding_size" in read_options(Mine, "loo")
    sys.modules[__name__].Mine = Mine  # type: ignore[attr-defined]
    config = checked_config(Mine, "shop", (), shop | {"my_margin": 0.5})
    assert config["my_margin"] == 0.5
    with pytest.raises(InputError, match="Mine does not read reg_weight"):
        checked_config(Mine, "shop", (), shop | {"reg_weight": 0.5})
