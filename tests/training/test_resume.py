"""A stopped training goes on from its last checkpoint and ends with the same bits."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llm4rec_recbole import checkpoints
from llm4rec_recbole.cli.run import parse, run_recbole
from llm4rec_recbole.console import Terminated
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.run import run

SIX = {"epochs": 6, "eval_step": 1, "stopping_step": 10, "train_batch_size": 32}
SMALL = {"embedding_size": 8}
WINDOWS = {"MAX_ITEM_LIST_LENGTH": 6, "hidden_size": 8, "inner_size": 8, "n_heads": 1}
MODELS: dict[str, dict[str, Any]] = {"BPR": SMALL, "LightGCN": SMALL, "SASRec": WINDOWS}


def stop_in_epoch(monkeypatch: pytest.MonkeyPatch, number: int, error: type[BaseException]) -> Any:
    """Raise `error` in the middle of epoch `number`, counted from 0; returns what undoes it."""
    from recbole.trainer import Trainer

    train_epoch = Trainer._train_epoch

    def stopping(self: Any, data: Any, epoch: int, *more: Any, **options: Any) -> Any:
        loss = train_epoch(self, data, epoch, *more, **options)  # the weights have changed
        if epoch == number:
            raise error
        return loss

    context = monkeypatch.context()
    context.__enter__().setattr(Trainer, "_train_epoch", stopping)
    return lambda: context.__exit__(None, None, None)


def outcome(path: Path) -> tuple[Any, ...]:
    """The parts of a run that an interruption must not change."""
    record = json.loads(path.read_text())
    weights = checkpoints.load(max(Path("checkpoints").glob("*.safetensors"), key=newest))
    state = {name: tensor.tolist() for name, tensor in weights["state_dict"].items()}
    return record["metrics"], record["history"], record["cost"]["epochs"], state


def newest(path: Path) -> int:
    return path.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("model", "epoch", "eval_step"),
    [
        *[("BPR", epoch, eval_step) for epoch, eval_step in ((0, 1), (5, 1), (3, 4))],
        *[("LightGCN", 3, 1), ("SASRec", 3, 1), ("SASRec", 3, 4)],
    ],
)
def test_a_stopped_run_ends_with_the_same_bits(
    options, monkeypatch, capsys, model, epoch, eval_step
) -> None:
    chosen = options | SIX | MODELS[model] | {"eval_step": eval_step}
    whole = outcome(run(model, "two_cycles", options=chosen))
    for file in Path("checkpoints").iterdir():
        file.unlink()
    undo = stop_in_epoch(monkeypatch, epoch, Terminated)
    with pytest.raises(Terminated):
        run(model, "two_cycles", options=chosen)
    undo()
    assert "the same command with --resume goes on from it" in capsys.readouterr().err
    path = run(model, "two_cycles", options=chosen | {"resume": True})
    assert outcome(path) == whole
    assert not list(Path("checkpoints").glob("*.stopped"))


def test_a_killed_run_goes_on_from_its_best_checkpoint(options, monkeypatch) -> None:
    chosen = options | SIX | SMALL
    whole = outcome(run("BPR", "two_cycles", options=chosen))
    undo = stop_in_epoch(monkeypatch, 4, ZeroDivisionError)  # nothing is saved, as after a kill -9
    with pytest.raises(ZeroDivisionError):
        run("BPR", "two_cycles", options=chosen)
    undo()
    assert not list(Path("checkpoints").glob("*.stopped"))
    assert outcome(run("BPR", "two_cycles", options=chosen | {"resume": True})) == whole


def test_nothing_is_resumed_but_the_same_unfinished_run(options, monkeypatch) -> None:
    chosen = options | SIX | SMALL
    resumed = chosen | {"resume": True}
    with pytest.raises(InputError, match=r"nothing to resume: .* has no checkpoint of this run"):
        run("BPR", "two_cycles", options=resumed)
    undo = stop_in_epoch(monkeypatch, 2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run("BPR", "two_cycles", options=chosen)
    undo()
    for other in ({"seed": 5}, {"learning_rate": 0.5}, {"protocol": "temporal"}, {"method": "B"}):
        with pytest.raises(InputError, match="has no checkpoint of this run"):
            run("BPR", "two_cycles", options=resumed | other)
    with pytest.raises(InputError, match="has no checkpoint of this run"):
        run("LightGCN", "two_cycles", options=resumed)
    run("BPR", "two_cycles", options=resumed | {"quiet": True, "results_dir": "elsewhere"})
    with pytest.raises(InputError, match=r"nothing to resume: the run .* has finished"):
        run("BPR", "two_cycles", options=resumed)


def test_other_data_is_not_resumed(options, monkeypatch) -> None:
    chosen = options | SIX | SMALL
    undo = stop_in_epoch(monkeypatch, 2, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run("BPR", "two_cycles", options=chosen)
    undo()
    file = Path(shutil.copytree(options["data_path"], "dataset"), "two_cycles/two_cycles.inter")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:-2], lines[-1], lines[-2]]))
    changed = chosen | {"resume": True, "data_path": "dataset"}
    with pytest.raises(InputError, match="has no checkpoint of this run"):
        run("BPR", "two_cycles", options=changed)


def test_a_damaged_state_is_passed_over_in_one_line(options, monkeypatch, capsys) -> None:
    chosen = options | SIX | SMALL
    whole = outcome(run("BPR", "two_cycles", options=chosen))
    undo = stop_in_epoch(monkeypatch, 4, Terminated)
    with pytest.raises(Terminated):
        run("BPR", "two_cycles", options=chosen)
    undo()
    (state,) = Path("checkpoints").glob("*.stopped")
    state.write_bytes(b"damaged")
    assert outcome(run("BPR", "two_cycles", options=chosen | {"resume": True})) == whole
    assert f"passed over: {state.resolve()}: " in capsys.readouterr().err


def test_the_switch_needs_no_value() -> None:
    assert parse(["--resume", "--seed=1"]) == {"resume": True, "seed": 1}
    assert parse(["--seed=1", "--resume"]) == {"seed": 1, "resume": True}
    assert parse(["--resume=false"]) == {"resume": False}
    assert parse(["--resume", "false"]) == {"resume": False}


def test_resuming_without_a_checkpoint_is_one_line(options, capsys) -> None:
    data = f"--data_path={options['data_path']}"
    columns = "--load_col={inter: [user_id, item_id, timestamp]}"
    assert run_recbole(["--model=Pop", "--dataset=two_cycles", data, columns, "--resume"]) == 2
    err = capsys.readouterr().err
    assert "nothing to resume" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_sigterm_saves_the_training(options) -> None:
    code = "from llm4rec_recbole.cli.run import run_recbole; raise SystemExit(run_recbole())"
    command = [sys.executable, "-c", code, "--model=BPR", "--dataset=two_cycles", "--epochs=100000"]
    command += [f"--data_path={options['data_path']}", "--eval_step=10", "--stopping_step=100000"]
    command += ["--load_col={inter: [user_id, item_id, timestamp]}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(Path("work/checkpoints").glob("*.safetensors")):
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.endswith("stopped\n")
    (state,) = Path("work/checkpoints").glob("*.stopped")
    assert f"saved {state}; the same command with --resume goes on from it" in err
