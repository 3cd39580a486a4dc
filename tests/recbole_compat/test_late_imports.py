"""What a run does not use is not imported: models of RecBole's, scikit-learn, torch's compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

UNUSED = ("sklearn", "scipy.stats", "torch._dynamo", "sympy", "transformers")

TRAIN = """
import sys
from llm4rec_recbole.training.run import run
options = {"epochs": 1, "quiet": True, "show_progress": False, "load_col": None}
folders = {"data_path": sys.argv[2], "results_dir": "results", "checkpoint_dir": "saved"}
run(sys.argv[1], "tiny", (), options | folders)
print(*sorted(set(sys.argv[3:]) & set(sys.modules)))
"""


def python(source: str, *arguments: str, folder: Path) -> str:
    """Standard output of `source`, run by an interpreter of its own in `folder`."""
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_tiny(folder: Path) -> None:
    rows = [f"{u}\t{(u + 3 * t) % 9}\t{t}" for u in range(12) for t in range(5)]
    (folder / "tiny").mkdir()
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "tiny" / "tiny.inter").write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize("model", ["Pop", "BPR"])
def test_a_training_imports_nothing_that_it_does_not_use(model: str, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    assert python(TRAIN, model, str(tmp_path), *UNUSED, folder=tmp_path) == ""


def test_tensorboard_is_imported_by_the_trainer_that_writes_to_it(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    source = """
import sys
from llm4rec_recbole.training.run import run
from recbole.data import create_dataset
from recbole.utils import get_tensorboard
print("tensorboard" in sys.modules)
"""
    assert python(source, folder=tmp_path) == "False"
    assert python(TRAIN, "BPR", str(tmp_path), "tensorboard", folder=tmp_path) == "tensorboard"
    assert list(tmp_path.glob("log_tensorboard/*/events.out.tfevents.*"))


def test_the_names_of_a_late_package_are_imported_when_they_are_used(tmp_path: Path) -> None:
    source = """
import sys
import llm4rec_recbole
import recbole.model.general_recommender as package
print(len(package.__all__), "recbole.model.general_recommender.slimelastic" in sys.modules)
from recbole.model.general_recommender import BPR
from recbole.model.general_recommender import *
print(BPR.__module__, SLIMElastic.__name__, all(hasattr(package, name) for name in package.__all__))
try:
    from recbole.model.general_recommender import Nothing
except ImportError as error:
    print("Nothing" in str(error))
"""
    lines = python(source, folder=tmp_path).splitlines()
    assert lines[0].split()[1] == "False"
    assert int(lines[0].split()[0]) > 30
    assert lines[1:] == ["recbole.model.general_recommender.bpr SLIMElastic True", "True"]


def test_an_optimizer_steps_alike_before_and_after_the_compiler_is_imported(tmp_path: Path) -> None:
    source = """
import sys
import llm4rec_recbole
import torch
import recbole.trainer
def steps(optimizer_class):
    weight = torch.nn.Parameter(torch.arange(4.0))
    optimizer = optimizer_class([weight], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    assert not optimizer.param_groups[0]["differentiable"]
    return weight.detach().clone()
classes = [torch.optim.Adam, torch.optim.SGD, torch.optim.Adagrad, torch.optim.AdamW]
before = [steps(c) for c in classes]
print("torch._dynamo" in sys.modules)
import torch._dynamo
print(all(torch.equal(a, steps(c)) for a, c in zip(before, classes)))
print(hasattr(torch.optim.Optimizer.zero_grad.__wrapped__.__wrapped__, "__dynamo_disable"))
"""
    assert python(source, folder=tmp_path).splitlines() == ["False", "True", "True"]
