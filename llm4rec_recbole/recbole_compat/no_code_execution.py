"""Training: checkpoints without pickle, exact resumption, one file name for each run."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import mends, replace, shadow

LOADING_MODELS = (
    "general_recommender.convncf",
    "general_recommender.nais",
    "general_recommender.neumf",
    "general_recommender.ract",
    "context_aware_recommender.kd_dagfm",
    "sequential_recommender.s3rec",
)


def run_of(config: Any) -> dict[str, Any]:
    """What it takes to make `config` again: model, data set, and the options that were given."""
    plain = (type(None), bool, int, float, str, list, dict)
    options = {
        key: value if isinstance(value, plain) else str(value)
        for key, value in config.external_config_dict.items()
    }
    return {"model": config["model"], "dataset": config["dataset"], "options": options}


def load_weights(model: Any, path: str | Path, device: Any) -> dict[str, Any]:
    """Load the weights in the checkpoint at `path` into `model`; return all of the checkpoint.

    Raises InputError where the checkpoint is of another model, or of one of another size.
    """
    from llm4rec_recbole import checkpoints

    state = checkpoints.load(path, device)
    name = type(model).__name__
    if state["config"]["model"] != name:
        raise InputError(f"a checkpoint of {state['config']['model']}, not of {name}", file=path)
    try:
        model.load_state_dict(state["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"does not fit this {name}: {reason}", file=path) from error
    model.load_other_parameter(other_parameters(model) | (state.get("other_parameter") or {}))
    return state


def other_parameters(model: Any) -> dict[str, Any]:
    """What the model wants kept beside its state; modules are in the state already."""
    from torch.nn import Module

    values = model.other_parameter() or {}
    return {name: value for name, value in values.items() if not isinstance(value, Module)}


def counters(model: Any) -> dict[str, float]:
    """The model's plain numbers; some change in training, such as MultiVAE's count of updates."""
    return {name: value for name, value in vars(model).items() if type(value) in (int, float)}


@mends("recbole.trainer.trainer", upstream="RecBole #2212")
def safe_checkpoints(module: ModuleType) -> None:
    """Save and load training as tensors and JSON, written atomically; never as a pickle.

    Resuming gives the weights that the uninterrupted run would have given, to the last bit: every
    optimizer's state, every random generator and the loader's shuffling are part of a checkpoint.
    """
    import torch
    from torch.optim import Optimizer

    from llm4rec_recbole import checkpoints

    init = module.Trainer.__init__

    def count_from_here(self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        self.counters_at_start = counters(model)

    def save_checkpoint(self: Any, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        if not self.config["single_spec"] and self.config["local_rank"] != 0:
            return
        path = kwargs.pop("saved_model_file", self.saved_model_file)
        checkpoints.save(path, state_of(self, epoch))
        if verbose:
            self.logger.info(f"{module.set_color('Saving current', 'blue')}: {path}")

    def state_of(self: Any, epoch: int) -> dict[str, Any]:
        loader = getattr(getattr(self, "training_data", None), "generator", None)
        return {
            "config": run_of(self.config),
            "epoch": max(epoch, self.start_epoch - 1),  # RecBole says -1 when nothing is left
            "cur_step": self.cur_step,
            "best_valid_score": self.best_valid_score,
            # RecBole saves the best model before it remembers that model's result.
            "best_valid_result": getattr(self, "latest_valid_result", self.best_valid_result),
            "state_dict": self.model.state_dict(),
            "counters": dict(counters(self.model).items() - self.counters_at_start.items()),
            "other_parameter": other_parameters(self.model),
            "optimizers": {name: each.state_dict() for name, each in optimizers(self)},
            "random": checkpoints.random_state(),
            "loader": None if loader is None else loader.get_state(),
        }

    def optimizers(self: Any) -> list[tuple[str, Optimizer]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Optimizer)]

    validate = module.Trainer._valid_epoch

    def valid_epoch(self: Any, *args: Any, **kwargs: Any) -> Any:
        score, self.latest_valid_result = validate(self, *args, **kwargs)
        return score, self.latest_valid_result

    def resume_checkpoint(self: Any, resume_file: str | Path) -> None:
        state = load_weights(self.model, resume_file, self.device)
        self.saved_model_file = str(resume_file)
        self.start_epoch = state["epoch"] + 1
        for name in ("cur_step", "best_valid_score", "best_valid_result"):
            setattr(self, name, state[name])
        for name, optimizer in optimizers(self):
            optimizer.load_state_dict(state["optimizers"][name])
        vars(self.model).update(state["counters"])
        self.resumed = state
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")

    def continuing(fit: Any) -> Any:
        def fit_from_where_it_stopped(self: Any, train_data: Any, *args: Any, **kwargs: Any) -> Any:
            self.training_data = train_data
            state = vars(self).pop("resumed", None)
            if state:
                checkpoints.set_random_state(state["random"])
                if state["loader"] is not None:
                    train_data.generator.set_state(state["loader"].cpu())
            return fit(self, train_data, *args, **kwargs)

        return fit_from_where_it_stopped

    evaluate_now = module.Trainer.evaluate

    def evaluate(
        self: Any,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | Path | None = None,
        show_progress: bool = False,
    ) -> Any:
        if eval_data and load_best_model:
            if not self.config["single_spec"]:
                torch.distributed.barrier()  # the first process may be saving still
            path = model_file or self.saved_model_file
            load_weights(self.model, path, self.device)
            self.logger.info(f"Loading model structure and parameters from {path}")
        return evaluate_now(self, eval_data, False, None, show_progress)

    def save_pretrained_model(self: Any, epoch: int, saved_model_file: str) -> None:
        self.saved_model_file = str(Path(saved_model_file).with_suffix(".safetensors"))
        checkpoints.save(self.saved_model_file, state_of(self, epoch))

    def no_checkpoint(self: Any, epoch: int) -> None:
        """A decision tree's library saves the model itself; RecBole only pickles its path."""

    module.DecisionTreeTrainer._save_checkpoint = no_checkpoint
    module.Trainer.__init__ = count_from_here
    module.Trainer._valid_epoch = valid_epoch
    module.Trainer._save_checkpoint = save_checkpoint
    module.Trainer.resume_checkpoint = resume_checkpoint
    module.Trainer.evaluate = evaluate
    module.Trainer.fit = continuing(module.Trainer.fit)
    module.NCLTrainer.fit = continuing(module.NCLTrainer.fit)
    module.PretrainTrainer.save_pretrained_model = save_pretrained_model


@mends("recbole.trainer.trainer", upstream="none: the name has the time to the second")
def own_file_for_each_run(module: ModuleType) -> None:
    """Name a checkpoint so that runs started in the same second do not share it."""
    import torch

    init = module.Trainer.__init__

    def name_checkpoint(self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        stamp = torch.tensor([int(time.time()), secrets.randbits(32)], device=config["device"])
        if not config["single_spec"]:  # the processes of one run share one file
            torch.distributed.broadcast(stamp, src=0)
        seconds, chance = stamp.tolist()
        started = time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
        run = f"{config['model']}-{config['dataset']}-seed_{config['seed']}"
        name = f"{run}-{started}-{chance:08x}.safetensors"
        self.saved_model_file = os.path.join(self.checkpoint_dir, name)

    module.Trainer.__init__ = name_checkpoint


@mends("recbole.trainer.trainer", upstream="none: torch.cuda.amp is deprecated")
def mixed_precision(module: ModuleType) -> None:
    """Scale gradients through `torch.amp`: the old name prints a warning every epoch."""
    import torch

    scaler, autocast = torch.amp.GradScaler, torch.amp.autocast
    shadow(module, "amp", GradScaler=partial(scaler, "cuda"), autocast=partial(autocast, "cuda"))


@mends("recbole.trainer.trainer", upstream="none: one kernel for each operation and parameter")
def fused_optimizers(module: ModuleType) -> None:
    """Let Adam and AdamW update all parameters in one kernel: much of a small model's time."""
    from torch import optim

    shadow(
        module,
        "optim",
        Adam=partial(optim.Adam, fused=True),
        AdamW=partial(optim.AdamW, fused=True),
    )


@mends("recbole.quick_start.quick_start", upstream="RecBole #2212")
def load_data_and_model(module: ModuleType) -> None:
    """Make data and model again from a checkpoint's options, and load its weights."""

    def load(model_file: str | Path) -> tuple:
        from llm4rec_recbole import checkpoints

        run = checkpoints.load(model_file)["config"]
        config = module.Config(run["model"], run["dataset"], config_dict=run["options"])
        module.init_seed(config["seed"], config["reproducibility"])
        module.init_logger(config)
        dataset = module.create_dataset(config)
        loaders = module.data_preparation(config, dataset)
        module.init_seed(config["seed"], config["reproducibility"])
        model = module.get_model(config["model"])(config, loaders[0]._dataset)
        load_weights(model.to(config["device"]), model_file, config["device"])
        return (config, model, dataset, *loaders)

    replace(module, "load_data_and_model", load)


def pretrained_weights(module: ModuleType) -> None:
    """Let `torch.load` mean this project's checkpoint where a model starts from another's weights.

    RecBole calls it in these modules on a path from the configuration.
    """

    def load(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
        from llm4rec_recbole import checkpoints

        return checkpoints.load(path, map_location)

    shadow(module, "torch", load=load)


for _name in LOADING_MODELS:
    mends(f"recbole.model.{_name}", upstream="RecBole #2212")(pretrained_weights)
