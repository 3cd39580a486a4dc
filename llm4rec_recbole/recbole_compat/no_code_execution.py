"""Patches that keep RecBole from running code found in a file, an option or a checkpoint.

RecBole passes option values through `eval` and unpickles checkpoints. Here option values are YAML,
and checkpoints are tensors and JSON (checkpoints.py), written atomically and resumed exactly.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import override, override_global, patch, wrap
from llm4rec_recbole.yaml_files import is_text_option, parse_value, yaml_loader


@patch("recbole.config.configurator", upstream="none")
def parse_values_as_yaml(module: ModuleType) -> None:
    """Parse every text value as YAML; RecBole passes it through `eval`."""

    @override(module.Config)
    def _convert_config_dict(self: Any, config_dict: dict[str, Any]) -> dict[str, Any]:
        for key, value in config_dict.items():
            if isinstance(value, str) and not is_text_option(key):
                config_dict[key] = parse_value(value)
        return config_dict

    module.Config._build_yaml_loader = lambda self: yaml_loader()


@patch("recbole.trainer.hyper_tuning", upstream="none")
def parse_choices_as_yaml(module: ModuleType) -> None:
    """Parse the choices in a search file as YAML; RecBole passes them through `eval`."""
    vars(module)["eval"] = parse_value


@patch("recbole.model.context_aware_recommender.kd_dagfm", upstream="none")
def find_teacher_by_name(module: ModuleType) -> None:
    """Look up KD_DAGFM's teacher by its name; RecBole passes the option through `eval`."""

    def teacher(name: str) -> type:
        model_class = vars(module).get(name)
        if not isinstance(model_class, type):
            raise InputError(f"there is no teacher {name}", hint="such as DAGFM")
        return model_class

    vars(module)["eval"] = teacher


# Checkpoints: tensors and JSON, written atomically; never a pickle. A checkpoint holds every
# optimizer's state, every random generator and the loader's shuffling. So a resumed run ends with
# the weights of the uninterrupted run, to the last bit.


def _counters(model: Any) -> dict[str, float]:
    """The model's numbers; training changes some of them, such as MultiVAE's count of updates."""
    return {name: value for name, value in vars(model).items() if type(value) in (int, float)}


def _optimizers(trainer: Any) -> dict[str, Any]:
    """The trainer's optimizers, by the names of its attributes."""
    from torch.optim import Optimizer

    return {name: value for name, value in vars(trainer).items() if isinstance(value, Optimizer)}


def _state_of(trainer: Any, epoch: int, best_valid_result: Any) -> dict[str, Any]:
    """What a checkpoint holds of a training after `epoch`, counted from 0."""
    from llm4rec_recbole.recbole_compat import model_state

    loader = getattr(getattr(trainer, "training_data", None), "generator", None)
    trainer.described_run = trainer.described_run or model_state.describe_run(trainer.config)
    counters = dict(_counters(trainer.model).items() - trainer.initial_counters.items())
    return {
        "config": trainer.described_run,
        "epoch": max(epoch, trainer.start_epoch - 1),  # RecBole passes -1 when no epoch is left
        "cur_step": trainer.cur_step,
        "best_valid_score": trainer.best_valid_score,
        "best_valid_result": best_valid_result,
        "validations": trainer.validations,
        "train_loss": trainer.train_loss_dict,
        "seconds": trainer.seconds_before + time.perf_counter() - trainer.fit_began,
        "state_dict": trainer.model.state_dict(),
        "counters": counters,
        "other_parameter": model_state.other_parameters(trainer.model),
        "optimizers": {name: o.state_dict() for name, o in _optimizers(trainer).items()},
        "random": model_state.random_state(),
        "loader": None if loader is None else loader.get_state(),
    }


@patch("recbole.trainer.trainer", upstream="RecBole #2212")
def save_as_data(module: ModuleType) -> None:
    """Save checkpoints as tensors and JSON, with the validations and the time so far."""
    from llm4rec_recbole import checkpoints

    @wrap(module.Trainer)
    def __init__(init: Any, self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        self.initial_counters = _counters(model)
        self.described_run = None
        self.on_epoch_start = None  # called with the number of the last epoch that is complete
        self.current_epoch, self.validations = 0, []  # [epoch, score] of each validation
        self.seconds_before, self.fit_began = 0.0, time.perf_counter()

    @wrap(module.Trainer)
    def _valid_epoch(validate: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        score, self.latest_valid_result = validate(self, *args, **kwargs)
        self.validations.append([self.current_epoch, float(score)])
        return score, self.latest_valid_result

    @override(module.Trainer)
    def _save_checkpoint(self: Any, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        if not self.config["single_spec"] and self.config["local_rank"] != 0:
            return
        path = kwargs.pop("saved_model_file", self.saved_model_file)
        # RecBole saves the best model before it remembers that model's result.
        result = getattr(self, "latest_valid_result", self.best_valid_result)
        checkpoints.save(path, _state_of(self, epoch, result))
        if verbose:
            self.logger.info(f"{module.set_color('Saving current', 'blue')}: {path}")

    @override(module.Trainer)
    def pack_state(self: Any, epoch: int) -> checkpoints.Packed:
        """A copy of the training after `epoch`, counted from 0, which is complete."""
        return checkpoints.pack(_state_of(self, epoch, self.best_valid_result))

    # The library of a decision tree saves the model itself; RecBole pickles its path.
    module.DecisionTreeTrainer._save_checkpoint = lambda self, epoch: None


@patch("recbole.trainer.trainer", upstream="RecBole #2212")
def save_pretraining_as_data(module: ModuleType) -> None:
    """The same for models with a pretraining. The last epoch's weights are always saved."""
    from llm4rec_recbole import checkpoints

    @override(module.PretrainTrainer)
    def save_pretrained_model(self: Any, epoch: int, saved_model_file: str) -> None:
        self.saved_model_file = str(Path(saved_model_file).with_suffix(".safetensors"))
        checkpoints.save(self.saved_model_file, _state_of(self, epoch, self.best_valid_result))

    @wrap(module.PretrainTrainer)
    def pretrain(train: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        result = train(self, *args, **kwargs)
        if self.pretrain_epochs % self.save_step:  # RecBole saves every save_step epochs only
            name = f"{self.config['model']}-{self.config['dataset']}-{self.pretrain_epochs}.pth"
            self.save_pretrained_model(self.pretrain_epochs - 1, Path(self.checkpoint_dir, name))
        return result


@patch("recbole.trainer.trainer", upstream="RecBole #2212")
def resume_exactly(module: ModuleType) -> None:
    """Resume a training from a checkpoint, with its random generators and its shuffling."""
    from llm4rec_recbole import checkpoints
    from llm4rec_recbole.recbole_compat import model_state

    @override(module.Trainer)
    def resume_checkpoint(self: Any, resume_file: str | Path) -> None:
        state = model_state.load_weights(self.model, resume_file, self.device)
        self.saved_model_file = str(resume_file).removesuffix(checkpoints.STOPPED)
        self.start_epoch = state["epoch"] + 1
        for name in ("cur_step", "best_valid_score", "best_valid_result"):
            setattr(self, name, state[name])
        for name, optimizer in _optimizers(self).items():
            optimizer.load_state_dict(state["optimizers"][name])
        vars(self.model).update(state["counters"])
        self.validations = state.get("validations", [])
        self.train_loss_dict = state.get("train_loss", {})
        self.seconds_before = state.get("seconds", 0.0)
        self.resumed = state
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")

    def resumable(fit: Any) -> Any:
        def fit_from_checkpoint(self: Any, train_data: Any, *args: Any, **kwargs: Any) -> Any:
            self.training_data = train_data
            self.fit_began = time.perf_counter()
            state = vars(self).pop("resumed", None)
            if state:
                model_state.set_random_state(state["random"])
                if state["loader"] is not None:
                    train_data.generator.set_state(state["loader"].cpu())
            train_epoch = self._train_epoch

            def train_one_epoch(data: Any, epoch: int, *more: Any, **options: Any) -> Any:
                self.current_epoch = epoch
                if self.on_epoch_start is not None:
                    self.on_epoch_start(self, epoch - 1)
                return train_epoch(data, epoch, *more, **options)

            # On the instance: a subclass calls its base class's method several times an epoch.
            self._train_epoch = train_one_epoch
            try:
                return fit(self, train_data, *args, **kwargs)
            finally:
                del self._train_epoch

        return fit_from_checkpoint

    module.Trainer.fit = resumable(module.Trainer.fit)
    module.NCLTrainer.fit = resumable(module.NCLTrainer.fit)


@patch("recbole.trainer.trainer", upstream="none: the name has the time to the second")
def name_checkpoints_uniquely(module: ModuleType) -> None:
    """Name checkpoints so that two runs started in the same second have two files."""
    import torch

    @wrap(module.Trainer)
    def __init__(init: Any, self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        stamp = torch.tensor([int(time.time()), secrets.randbits(32)], device=config["device"])
        if not config["single_spec"]:  # the processes of one run share one file
            torch.distributed.broadcast(stamp, src=0)
        seconds, random_part = stamp.tolist()
        started = time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
        run = f"{config['model']}-{config['dataset']}-seed_{config['seed']}"
        name = f"{run}-{started}-{random_part:08x}.safetensors"
        self.saved_model_file = os.path.join(self.checkpoint_dir, name)


LOADING_MODELS = (
    "general_recommender.convncf",
    "general_recommender.nais",
    "general_recommender.neumf",
    "general_recommender.ract",
    "context_aware_recommender.kd_dagfm",
    "sequential_recommender.s3rec",
)


def load_pretrained_weights(module: ModuleType) -> None:
    """Read this project's checkpoint where a model starts from another model's weights. In these
    modules RecBole calls `torch.load` on a path from the configuration."""

    from llm4rec_recbole import checkpoints

    override_global(
        module, "torch", load=lambda path, map_location="cpu": checkpoints.load(path, map_location)
    )


for _name in LOADING_MODELS:
    patch(f"recbole.model.{_name}", upstream="RecBole #2212")(load_pretrained_weights)
