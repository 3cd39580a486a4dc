"""The files of a run: its checkpoint, the state of a stopped training, the adapted weights.

    EnhancedGenRec-ml-100k-seed_0-….safetensors           the weights at the best validation
    EnhancedGenRec-ml-100k-seed_0-….safetensors.stopped   the state when SIGTERM or Ctrl-C came
    EnhancedGenRec-ml-100k-seed_0-….adapted               what later events start from: the tensors
                                                          that adaptation changed, and F of (33)

`run_recbole … --resume` continues from the newer of the first two. The results equal those of an
uninterrupted run to the last bit, because a checkpoint holds all weights, optimizers and random
generators. With the third file a command does not learn from the validation items again. That file
counts only beside the checkpoint of a finished run: a training that is resumed makes it outdated.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from llm4rec_recbole import checkpoints
from llm4rec_recbole.components.adaptation.adapter import fisher_information
from llm4rec_recbole.console import Terminated
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_writer import TrainedRun
from llm4rec_recbole.recbole_compat import model_state


@contextmanager
def saved_when_stopped(trainer: Any) -> Iterator[None]:
    """Write the training's state if SIGTERM or Ctrl-C stops the block, and say how to go on. The
    state is that after the last complete epoch, which a copy in memory holds."""
    last: list[checkpoints.Packed] = []

    def remember(trainer: Any, epoch: int) -> None:
        last[:] = [trainer.pack_state(epoch)]

    if not hasattr(trainer, "pack_state"):  # a trainer of decision trees has no epochs
        yield
        return
    trainer.on_epoch_start = remember
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        if last:
            path = f"{trainer.saved_model_file}{checkpoints.STOPPED}"
            checkpoints.write_packed(path, last[0])
            print(f"saved {path}; the same command with --resume goes on from it", file=sys.stderr)
        raise
    finally:
        trainer.on_epoch_start = None


def newest_first(files: Iterable[Path]) -> Iterator[tuple[Path, checkpoints.Header]]:
    """The checkpoints among `files` with their headers; a line on stderr for each other file."""
    for path in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            yield path, checkpoints.read_header(path)
        except (InputError, OSError) as error:
            print(f"passed over: {error}", file=sys.stderr)


class WrittenBy(NamedTuple):
    """The run that wrote a checkpoint; None where the header does not name it."""

    method: Any  # its name in run records
    model: Any
    dataset: Any
    protocol: Any


def written_by(header: checkpoints.Header) -> WrittenBy:
    """The run that wrote the checkpoint with this header."""
    run, options = header.run, header.run.get("options")
    options = options if isinstance(options, dict) else {}
    method = options.get("method") or run.get("model")
    return WrittenBy(method, run.get("model"), run.get("dataset"), options.get("protocol", "loo"))


def last_checkpoint(config: Any) -> Path:
    """The newest checkpoint of an unfinished run with the configuration and the data of `config`.
    Raises InputError where there is none."""
    folder = Path(config["checkpoint_dir"])
    name = glob.escape(f"{config['model']}-{config['dataset']}-seed_{config['seed']}-")
    suffixes = ("", checkpoints.STOPPED)
    files = (path for end in suffixes for path in folder.glob(f"{name}*.safetensors{end}"))
    identity = model_state.describe_run(config)["identity"]
    message = f"nothing to resume: {folder} has no checkpoint of this run"
    message += " (same model, data, protocol, seed and options)"
    for path, header in newest_first(files):
        if header.run.get("identity") == identity:
            if not header.finished:
                return path
            message = f"nothing to resume: the run of this checkpoint in {folder} has finished"
    raise InputError(message, hint="leave --resume out to train from the start")


def resume_training(trained: TrainedRun) -> None:
    """Load the last checkpoint of the same run, with the validations and the time of its epochs.
    Raises InputError for a model without epochs, or where there is no checkpoint."""
    config, trainer = trained.config, trained.trainer
    metric = config["valid_metric"].lower()
    if not hasattr(trainer, "pack_state"):
        raise InputError(f"{config['model']} has no epochs to resume", hint="leave --resume out")
    path = last_checkpoint(config)
    trainer.resume_checkpoint(path)
    trained.history += [{"epoch": epoch + 1, metric: score} for epoch, score in trainer.validations]
    trained.train_seconds = trainer.seconds_before
    trained.energy.missing = "the run was resumed: the first part was not measured"
    if not config["quiet"]:
        print(f"resumed {path} after epoch {trainer.start_epoch}", file=sys.stderr)


def adapted_file(checkpoint: str | Path) -> Path:
    """The path of the adapted weights of `checkpoint`; a search for checkpoints does not match
    it."""
    return Path(checkpoint).with_suffix(".adapted")


def save_adapted_weights(model: Any, checkpoint: str | Path, held_out: HeldOut) -> None:
    """Save the tensors of `model` that differ from those in `checkpoint`, and F of (33).

    `held_out` has the histories of the test. F is estimated from them, which takes seconds.
    A model that learned nothing has no such tensors. For a model that cannot adapt no file is
    written.
    """
    if not hasattr(model, "prequential_rows"):
        return
    trained = checkpoints.load(checkpoint)["state_dict"]
    changed = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not torch.equal(tensor.cpu(), trained[name])
    }
    content: dict[str, Any] = {"adapted": changed}
    if getattr(getattr(model, "adaptation", None), "ewc", 0):
        content["fisher"] = fisher_information(model, held_out)
    checkpoints.save(adapted_file(checkpoint), content)


def saved_fisher(model: Any, checkpoint: str | Path) -> dict[str, torch.Tensor] | None:
    """F of (33) that `save_adapted_weights` saved; None where there is none of this model."""
    path = adapted_file(checkpoint)
    if not path.is_file() or not checkpoints.read_header(checkpoint).finished:
        return None
    fisher = checkpoints.load(path).get("fisher")
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not isinstance(fisher, dict) or {n: f.shape for n, f in fisher.items()} != {
        name: parameter.shape for name, parameter in learned.items()
    }:
        return None
    return {name: fisher[name].to(parameter.device) for name, parameter in learned.items()}


def load_adapted_weights(model: Any, checkpoint: str | Path) -> bool:
    """Load the adapted weights into `model`, which has the weights of `checkpoint`: equal to the
    last bit to learning from the validation items again.

    Return False, with the model unchanged, where there are none. Raises InputError for a file that
    is damaged or of another model.
    """
    path = adapted_file(checkpoint)
    if not path.is_file() or not checkpoints.read_header(checkpoint).finished:
        return False
    changed = checkpoints.load(path).get("adapted")
    weights = model.state_dict()
    if not isinstance(changed, dict) or any(
        name not in weights or weights[name].shape != tensor.shape
        for name, tensor in changed.items()
    ):
        raise InputError("not the adapted weights of this model", file=path, hint="delete the file")
    model.eval()
    if hasattr(model, "fix_content"):
        model.fix_content()  # from the trained weights, as before the first event
    with torch.no_grad():
        for name, tensor in changed.items():
            weights[name].copy_(tensor)
    return True
