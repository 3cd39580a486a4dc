"""The command and RecBole's API: one path, the same numbers to the last bit, for every protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.users_file import read_users
from llm4rec_recbole.training.run import run

SEQUENCE = {"epochs": 1, "eval_step": 1, "train_batch_size": 64, "learning_rate": 0.01}
SEQUENCE |= {"MAX_ITEM_LIST_LENGTH": 8}
ONE_EPOCH = {"epochs": 1, "eval_step": 1}
LLM = {"llm": "scratch-32x1", "llm_dtype": "float32", "llm_layers": None}
LABELS = {"threshold": {"rating": 3}}
# Every model of this project, and a model of each type of RecBole.
MODELS: dict[str, dict[str, Any]] = {
    "Pop": {},
    "ItemKNN": {},
    "EASE": {},
    "RecencyEASE": {},
    "BPR": ONE_EPOCH,
    "LightGCN": ONE_EPOCH,
    "SASRec": SEQUENCE,
    "BERT4Rec": SEQUENCE,
    "GenRec": SEQUENCE | LLM | {"lora_rank": 0, "train_batch_size": 16},
    "P5": SEQUENCE | {"train_batch_size": 16},
    "EnhancedGenRec": SEQUENCE | LLM | {"text_encoder": "hash-16"},
    "GenRecFusion": SEQUENCE | LLM | {"text_encoder": "hash-16"},
    "GRU4Rec": SEQUENCE,
    "FM": ONE_EPOCH | LABELS,
    "CKE": ONE_EPOCH,
}
PROTOCOLS = ["loo", "temporal", "recbole"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `shop`: ratings at distinct times, titles, categories, an item graph."""
    folder = tmp_path_factory.mktemp("data") / "shop"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = [
        f"u{user}\ti{item}\t{random.integers(1, 6)}\t{1_000_000_000 + 1000 * step + user}"
        for step in range(9)
        for user, item in enumerate(np.array([random.permutation(30) for _ in range(40)])[:, step])
    ]
    unique = {tuple(row.split("\t")[:2]): row for row in reversed(rows)}
    tables = {
        "inter": [
            "user_id:token\titem_id:token\trating:float\ttimestamp:float",
            *reversed(unique.values()),
        ],
        "item": ["item_id:token\tmovie_title:token_seq\tclass:token_seq"]
        + [f"i{n}\tThing {n}\t{'Red' if n % 2 else 'Blue'}" for n in range(30)],
        "kg": ["head_id:token\trelation_id:token\ttail_id:token"]
        + [f"e{n}\tnext\te{(n + 1) % 30}" for n in range(30)],
        "link": ["item_id:token\tentity_id:token", *(f"i{n}\te{n}" for n in range(30))],
    }
    for suffix, lines in tables.items():
        (folder / f"shop.{suffix}").write_text("\n".join(lines) + "\n")
    return folder.parent


@pytest.fixture
def request_for(shop: Path, tmp_path: Path) -> Any:
    """request_for(model, protocol, name): options of a small run that writes to <name>/."""

    def options(model: str, protocol: str, name: str) -> dict[str, Any]:
        columns: dict[str, Any] = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
        if model == "CKE":
            columns |= {"kg": ["head_id", "relation_id", "tail_id"], "link": "*"}
        common = {
            "data_path": str(shop),
            "results_dir": str(tmp_path / name / "results"),
            "checkpoint_dir": str(tmp_path / name / "checkpoints"),
            "load_col": columns,
            "show_progress": False,
            "quiet": True,
            "num_threads": 1,
            "protocol": protocol,
        }
        return common | MODELS[model]

    return options


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("model", MODELS)
def test_the_command_and_the_api_give_the_same_metrics_and_models(
    model: str, protocol: str, request_for: Any, tmp_path: Path
) -> None:
    from recbole.quick_start import load_data_and_model, run_recbole
    from recbole.utils.case_study import full_sort_scores, full_sort_topk

    path = run(model, "shop", options=request_for(model, protocol, "command"))
    record = json.loads(path.read_text())
    result = run_recbole(model, "shop", config_dict=request_for(model, protocol, "api"))
    again = json.loads(Path(result["record"]).read_text())
    assert again["metrics"] == record["metrics"]
    assert again["history"] == record["history"]
    test = record["metrics"]["test"]
    assert dict(result["test_result"]) == (test if protocol == "recbole" else test["full"])
    assert dict(result["best_valid_result"]) == record["metrics"]["valid"]
    assert result["valid_score_bigger"] is True

    checkpoint = next((tmp_path / "api" / "checkpoints").glob("*.safetensors"))
    config, network, dataset, *_, loader = load_data_and_model(str(checkpoint))
    assert (config["model"], config["protocol"]) == (model, protocol)
    if (model, protocol) == ("FM", "recbole"):  # RecBole ranks no list for it: mode `labeled`
        with pytest.raises(InputError, match="does not rank all items"):
            full_sort_topk([1], network, loader, k=5)
        return
    users = loader.dataset.inter_feat[dataset.uid_field][:2].numpy()
    scores, items = full_sort_topk(users, network, loader, k=5)
    assert items.shape == scores.shape == (2, 5)
    assert (full_sort_scores(users, network, loader)[:, 0] == -np.inf).all()
    adapts = hasattr(network, "prequential_rows")
    if protocol != "recbole" and not adapts and model != "Pop":  # Pop's scores are tied
        table = read_users(Path(str(path).replace("runs", "users")).with_suffix(".parquet"))
        lists = table.set_index("user").top_100
        for row, user in zip(items, dataset.id2token(dataset.uid_field, users)):
            assert dataset.id2token(dataset.iid_field, row).tolist() == lists[user][:5].tolist()


def test_the_api_refuses_what_the_command_refuses(request_for: Any) -> None:
    from recbole.quick_start import run_recbole

    options = request_for("BPR", "loo", "api") | {"valid_metric": "MRR@20"}
    with pytest.raises(InputError, match="valid_metric is MRR@20"):
        run_recbole("BPR", "shop", config_dict=options)


def test_without_saving_nothing_is_written(request_for: Any, tmp_path: Path) -> None:
    from recbole.quick_start import run_recbole

    result = run_recbole("BPR", "shop", config_dict=request_for("BPR", "loo", "api"), saved=False)
    assert "record" not in result
    assert not list((tmp_path / "api").rglob("*.*"))


def test_a_user_without_a_test_item_is_named(request_for: Any) -> None:
    from recbole.utils.case_study import full_sort_topk

    from llm4rec_recbole.training.experiment import prepare

    experiment = prepare("EASE", "shop", options=request_for("EASE", "temporal", "api"))
    test = experiment.data.test
    absent = next(u for u in range(1, test.dataset.user_num) if u not in test.held_out.users)
    token = test.dataset.id2token(test.dataset.uid_field, absent)
    with pytest.raises(InputError, match=f"user {token} has no test item"):
        full_sort_topk([absent], experiment.model, test, k=2)
    with pytest.raises(InputError, match="0 is no user id"):
        full_sort_topk([0], experiment.model, test, k=2)


@pytest.mark.parametrize("protocol", ["loo", "temporal"])
def test_several_processes_are_refused_under_our_protocols(protocol: str, request_for: Any) -> None:
    from recbole.quick_start import run as run_in_processes

    options = request_for("BPR", protocol, "api")
    with pytest.raises(InputError, match="trains in one process"):
        run_in_processes("BPR", "shop", config_dict=options, nproc=2)


def test_processes_of_torchrun_are_refused(
    request_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="each process would train the whole model"):
        run("BPR", "shop", options=request_for("BPR", "loo", "api"))


@pytest.mark.parametrize("model", ["DIEN", "GRU4RecCPR", "SASRecCPR"])
def test_models_that_rank_rows_of_recbole_are_refused_before_data_are_read(
    model: str, request_for: Any
) -> None:
    options = request_for("EASE", "loo", "api") | {"data_path": "nowhere"}
    with pytest.raises(InputError, match=f"{model} ranks rows of RecBole's evaluation only"):
        run(model, "shop", options=options)


@pytest.mark.parametrize("protocol", ["loo", "recbole"])
@pytest.mark.parametrize("model", ["BPR", "FPMC"])
def test_popularity_is_counted_in_the_training_interactions(
    model: str, protocol: str, shop: Path, request_for: Any, tmp_path: Path
) -> None:
    """An item that only one user has, as the test item, is never a negative."""
    from llm4rec_recbole.training.run import load_config, load_dataset

    folder = tmp_path / "leak" / "shop"
    folder.mkdir(parents=True)
    text = (shop / "shop" / "shop.inter").read_text()
    (folder / "shop.inter").write_text(text + "u1\tunseen\t5\t2000000000\n")
    popular = {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1}}
    options = request_for("BPR", protocol, "api") | popular | {"data_path": str(folder.parent)}
    if protocol == "recbole":
        split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
        options["eval_args"] = split | {"mode": "full"}
    data = load_dataset(load_config(model, "shop", (), options))
    item = data.dataset.token2id("item_id", "unseen")
    drawn = [batch["neg_item_id"] for _ in range(20) for batch in data.train]
    assert not any((items == item).any() for items in drawn)
