"""RecBole's entry points, on the main path (training/run.py).

`recbole.quick_start.run_recbole(...)` takes the path of the command `run_recbole`: the same checks,
the same numbers, the same run record. `load_data_and_model` reads a checkpoint without unpickling.
RecBole's case study ranks under this project's protocols too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError, shorten
from llm4rec_recbole.recbole_compat.import_hook import patch, replace


def run_recbole(
    model: Any = None,
    dataset: str | None = None,
    config_file_list: Sequence[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    saved: bool = True,
    queue: Any = None,
) -> dict[str, Any]:
    """Train and test a model; return RecBole's dict of results, and the record's path in `record`.
    With saved=False nothing is written, and the test is of the last epoch."""
    from llm4rec_recbole.evaluation.metrics import accuracy
    from llm4rec_recbole.training import experiment as parts
    from llm4rec_recbole.training import run

    with run.writing():
        experiment = parts.train(model, dataset, config_file_list or (), config_dict, save=saved)
        config, data, trained = experiment.config, experiment.data, experiment.trained
        ranks = run.rank_held_out(trained, data)
        result: dict[str, Any] = {
            "best_valid_score": trained.trainer.best_valid_score,
            "valid_score_bigger": config["valid_metric_bigger"],
            "best_valid_result": trained.valid_metrics,
            "test_result": ranks if isinstance(ranks, Mapping) else accuracy(ranks.rank_full),
        }
        first_process = (config["local_rank"] or 0) == 0
        if saved and first_process:
            result["record"] = str(run.write_record(trained, ranks, data))
    if not config["single_spec"]:
        import torch

        torch.distributed.destroy_process_group()
    if queue is not None and first_process:
        queue.put(result)
    return result


def objective_function(
    config_dict: dict[str, Any] | None = None,
    config_file_list: Sequence[str] | None = None,
    saved: bool = True,
) -> dict[str, Any]:
    """`run_recbole` for RecBole's HyperTuning; reports to ray where ray is installed."""
    result = run_recbole(config_file_list=config_file_list, config_dict=config_dict, saved=saved)
    from ray import tune

    if hasattr(tune, "report"):
        tune.report(**result["test_result"])
    return result | {"model": (config_dict or {}).get("model")}


def load_data_and_model(model_file: str | Path) -> tuple[Any, ...]:
    """RecBole's (config, model, dataset, train_data, valid_data, test_data) of a checkpoint."""
    from llm4rec_recbole.training.experiment import load_trained

    experiment = load_trained(model_file)
    data = experiment.data
    return experiment.config, experiment.model, data.dataset, data.train, data.valid, data.test


@patch("recbole.quick_start.quick_start", upstream="RecBole #2212; none for the others")
def run_by_our_main_path(module: ModuleType) -> None:
    """Run, tune and load by training/run.py; refuse several processes under our protocols."""
    spawn = module.run

    def run(
        model: Any,
        dataset: Any,
        config_file_list: Any = None,
        config_dict: Any = None,
        saved: bool = True,
        nproc: int = 1,
        world_size: int = -1,
        **kwargs: Any,
    ) -> Any:
        for name, value, least in (("nproc", nproc, 1), ("world_size", world_size, -1)):
            if type(value) is not int or value < least or (value == 0):
                raise InputError(f"{name} is {shorten(value)}", hint="a whole number, 1 or more")
        if max(nproc, world_size) > 1:
            from llm4rec_recbole.training.run import load_config

            protocol = load_config(model, dataset, config_file_list or (), config_dict)["protocol"]
            if protocol in PROTOCOLS:
                message = f"protocol {protocol} trains in one process, but nproc is {nproc}"
                raise InputError(message, hint="--protocol=recbole takes several")
        return spawn(
            model, dataset, config_file_list, config_dict, saved, nproc, world_size, **kwargs
        )

    for function in (run, run_recbole, objective_function, load_data_and_model):
        replace(module, function.__name__, function)


@patch("recbole.utils.case_study", upstream="none: RecBole's loaders only")
def score_held_out_users(module: ModuleType) -> None:
    """Let `full_sort_scores` and `full_sort_topk` score the test users of HeldOutLoader. Both
    refuse an id of no user, and the second a `k` of more than all items."""
    import numpy as np
    import torch

    recbole_scores, recbole_topk = module.full_sort_scores, module.full_sort_topk

    def full_sort_topk(
        uid_series: Any, model: Any, test_data: Any, k: int, device: Any = None
    ) -> Any:
        n_items = test_data._dataset.item_num - 1
        if not isinstance(k, Integral):
            raise InputError(f"k is {shorten(k)}", hint="a whole number, 1 or more")
        if not 0 < k <= n_items:
            raise InputError(f"k is {k}, but there are {n_items} items")
        return recbole_topk(uid_series, model, test_data, k, device)

    def full_sort_scores(uid_series: Any, model: Any, test_data: Any, device: Any = None) -> Any:
        from llm4rec_recbole.evaluation.held_out_loader import HeldOutLoader, scorer

        users = np.asarray(uid_series)
        hint = "dataset.token2id(dataset.uid_field, tokens) gives the ids"
        if users.ndim != 1 or not len(users) or users.dtype.kind not in "iu":
            raise InputError(f"{shorten(uid_series)} is not a list of user ids", hint=hint)
        for user in users:
            if not 0 < user < test_data._dataset.user_num:
                n_users = test_data._dataset.user_num - 1
                raise InputError(f"{user} is no user id (1 to {n_users})", hint=hint)
        if not isinstance(test_data, HeldOutLoader):
            if not (test_data.is_sequential or hasattr(test_data, "uid2history_item")):
                hint = "--eval_args={mode: full}"
                raise InputError("this evaluation does not rank all items", hint=hint)
            return recbole_scores(uid_series, model, test_data, device)
        held_out = test_data.held_out
        row_of = {int(user): row for row, user in enumerate(held_out.users)}
        missing = [user for user in users if user not in row_of]
        if missing:
            token = test_data.dataset.id2token(test_data.dataset.uid_field, missing[0])
            raise InputError(f"user {token} has no test item under this protocol")
        rows = np.array([row_of[user] for user in users], dtype=np.int64)
        score = scorer(model, test_data.config, held_out, test_data.dataset)
        scores = np.array(score(rows))  # (B, n_items)
        scores[held_out.seen_mask(rows)] = -np.inf  # seen items, and the pad
        return torch.from_numpy(scores).to(device or "cpu")

    replace(module, "full_sort_scores", full_sort_scores)
    replace(module, "full_sort_topk", full_sort_topk)
