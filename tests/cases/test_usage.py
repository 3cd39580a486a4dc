"""Situations that users of this kind of software report: options and files are obeyed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole.cli.run import run_recbole
from llm4rec_recbole.errors import InputError
from tests.helpers.small_shop import N_ITEMS, N_USERS, PARTS, RECBOLE, command, rows, write


def test_bert4rec_runs_under_the_protocol_of_recbole(capsys) -> None:
    small = ["--hidden_size=8", "--inner_size=8", "--n_heads=1", "--n_layers=1", "--epochs=1"]
    status, out, _ = command(capsys, RECBOLE, *small, model="BERT4Rec")
    assert status == 0
    assert "record: " in out


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_pretraining_is_saved_after_its_last_epoch_and_finetuned(capsys, epochs) -> None:
    Path("dataset/shop/shop.item").write_text(
        "item_id:token\tclass:token\n" + "".join(f"i{n}\tc{n % 3}\n" for n in range(N_ITEMS))
    )
    small = ["--model=S3Rec", "--dataset=shop", "--load_col=~", "--show_progress=false"]
    small += ["--quiet=true", "--hidden_size=8", "--inner_size=8", "--MAX_ITEM_LIST_LENGTH=5"]
    assert run_recbole([*small, f"--pretrain_epochs={epochs}", "--save_step=2"]) == 0
    weights = f"work/checkpoints/S3Rec-shop-{epochs}.safetensors"
    finetune = ["--train_stage=finetune", f"--pre_model_path={weights}", "--epochs=1"]
    assert run_recbole([*small, *finetune]) == 0, capsys.readouterr().err


def test_parts_are_read_and_no_other_file(capsys) -> None:
    table = rows()
    for part, chosen in enumerate(("train", "valid", "test")):
        write(f"parts/parts.{chosen}.inter", [r for i, r in enumerate(table) if i % 9 // 3 == part])
    status, out, err = command(capsys, RECBOLE, PARTS, data="parts")
    assert status == 0, err
    assert "ndcg@10" in out
    write("parts/parts.valid.inter", [["u1", "i1", "five", "7"]])
    status, _, err = command(capsys, RECBOLE, PARTS, data="parts")
    assert status == 2
    assert "parts.valid.inter:2: " in err


def test_columns_that_only_the_split_reads_may_be_hidden_from_the_model(capsys) -> None:
    assert command(capsys, "--unused_col={inter: [timestamp]}")[0] == 0


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), ("\t", "latin-1")])
def test_separator_and_encoding_are_obeyed(capsys, separator, encoding) -> None:
    table = [[user, item.replace("i1", "café-1"), *rest] for user, item, *rest in rows()]
    write("cafe/cafe.inter", table, separator, encoding)
    Path("format.yaml").write_text(
        f"field_separator: {json.dumps(separator)}\nencoding: {encoding}\n"
    )
    assert command(capsys, "--config_files=format.yaml", data="cafe")[0] == 0


def test_a_copy_of_an_embedded_data_set_is_read_where_data_path_says(capsys) -> None:
    shutil.copytree("dataset/shop", "mine/ml-100k")
    Path("mine/ml-100k/shop.inter").rename("mine/ml-100k/ml-100k.inter")
    status, _, _ = command(capsys, "--data_path=mine", data="ml-100k")
    assert status == 0
    (users,) = Path("work/users/ml-100k/loo/EASE").iterdir()
    from llm4rec_recbole.evaluation.users_file import read_users

    assert len(read_users(users).rank_full) == N_USERS


def test_columns_of_another_file_with_a_known_name_are_reported(capsys) -> None:
    write("ml-1m/ml-1m.inter", rows())
    item = "item_id:token\tmovie_title:token_seq\tgenre:token_seq\ni1\tA\tB\n"
    Path("dataset/ml-1m/ml-1m.item").write_text(item)
    status, _, err = command(capsys, "--data_path=dataset", data="ml-1m")
    assert status == 2
    assert (
        "ml-1m.item:1: there is no column title, which load_col of dataset/ml-1m.yaml names" in err
    )


def test_words_for_missing_values_are_tokens() -> None:
    from recbole.config import Config
    from recbole.data import create_dataset

    item = "item_id:token\tbrand:token\n"
    item += "".join(f"i{n}\t{('NA', 'None', 'null', 'Oreal')[n % 4]}\n" for n in range(N_ITEMS))
    Path("dataset/shop/shop.item").write_text(item)
    options: dict[str, Any] = {"load_col": None, "protocol": "recbole"}
    brands = create_dataset(Config("Pop", "shop", config_dict=options)).field2id_token["brand"]
    assert sorted(brands) == ["NA", "None", "Oreal", "[PAD]", "null"]


def test_the_api_refuses_what_the_command_refuses() -> None:
    from recbole.quick_start import run, run_recbole

    with pytest.raises(InputError, match="valid_metric is MRR@20"):
        run_recbole("EASE", "shop", config_dict={"valid_metric": "MRR@20", "load_col": None})
    with pytest.raises(InputError, match="trains in one process, but nproc is 2"):
        run("BPR", "shop", nproc=2, config_dict={"epochs": 1, "load_col": None})


def test_the_api_trains_a_sequence_model_and_serves_recboles_case_study() -> None:
    from recbole.quick_start import load_data_and_model, run_recbole
    from recbole.utils.case_study import full_sort_topk

    options = {"epochs": 1, "show_progress": False, "quiet": True, "checkpoint_dir": "saved"}
    options |= {"hidden_size": 8, "embedding_size": 8, "load_col": None}
    result = run_recbole("GRU4Rec", "shop", config_dict=options)
    assert "ndcg@10" in result["test_result"]
    (file,) = Path("saved").glob("*.safetensors")
    config, model, dataset, _, _, test = load_data_and_model(file)
    users = dataset.token2id(dataset.uid_field, ["u1", "u2"])
    _, items = full_sort_topk(users, model, test, k=5, device=config["device"])
    assert items.shape == (2, 5)
    with pytest.raises(InputError, match="k is 41, but there are 40 items"):
        full_sort_topk(users, model, test, k=N_ITEMS + 1)
    with pytest.raises(InputError, match=r"999 is no user id \(1 to 30\)"):
        full_sort_topk([999], model, test, k=5)
    for wrong in (["u1"], [], 3, [1.5]):
        with pytest.raises(InputError, match="is not a list of user ids"):
            full_sort_topk(wrong, model, test, k=5)
    with pytest.raises(InputError, match=r"k is 2\.5"):
        full_sort_topk(users, model, test, k=2.5)


@pytest.mark.parametrize("model", ["Pop", "BPR", "SASRec"])
def test_items_of_the_item_file_alone_are_candidates_or_not(capsys, model) -> None:
    from llm4rec_recbole.training.run import load_config, load_dataset

    rows = "".join(f"i{n}\tThing {n}\n" for n in range(N_ITEMS + 7))
    Path("dataset/shop/shop.item").write_text(f"item_id:token\ttitle:token_seq\n{rows}")
    chosen: dict[str, Any] = {"load_col": None, "item_candidates": "interacted"}
    for protocol in ("loo", "recbole"):
        for candidates, n_items, words in (
            ("all", N_ITEMS + 7, "7 of 47 items have no interaction; they are candidates"),
            ("interacted", N_ITEMS, "7 items of the .item file have no interaction and are no"),
        ):
            chosen |= {"item_candidates": candidates, "protocol": protocol}
            data = load_dataset(load_config(model, "shop", options=chosen))
            assert data.dataset.item_num == n_items + 1  # the pad too
            assert words in capsys.readouterr().err
            assert data.test._dataset.item_num == n_items + 1
