"""transformers is imported without the libraries that nothing here uses, and still works."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from importlib import metadata

import pytest

from llm4rec_recbole.errors import absent_package
from llm4rec_recbole.language_models import sources

CODE = """
import sys
from llm4rec_recbole.language_models.load import load_language_model

heavy = {"sklearn", "scipy.stats", "scipy.optimize", "torch._dynamo", "torch.distributed.tensor"}
heavy |= {"transformers.loss", "peft"}
model, _ = load_language_model("scratch-8x1")
assert not heavy & set(sys.modules), heavy & set(sys.modules)

import torch
from llm4rec_recbole.language_models.load import add_lora

ids = torch.tensor([[5, 6, 7]])
model = model.float()
written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=2,
                         do_sample=False)
assert written.shape == (1, 5)
assert model(ids, labels=ids).loss > 0  # transformers imports its losses here
add_lora(model.model, 2)
loss = model(inputs_embeds=torch.randn(1, 3, 8)).logits.sum()
loss.backward()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
optimizer.step()  # torch imports its compiler here

from sklearn.metrics import roc_curve
from torch.distributed.tensor import DTensor
import torch._dynamo
assert not isinstance(ids, DTensor)
assert torch._dynamo.allow_in_graph is not None
"""


def test_no_heavy_library_is_imported_and_the_real_ones_can_be() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)


@pytest.mark.parametrize(("version", "expected"), [("4.57.6", 1), ("5.24.0", 0)])
def test_stand_ins_are_for_the_names_of_transformers_4(monkeypatch, version, expected) -> None:
    made: list[int] = []
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.setattr(sources.importlib, "import_module", lambda name: None)
    monkeypatch.setattr(sources, "_stand_ins", lambda: made.append(1) or nullcontext())
    sources.import_transformers()
    assert len(made) == expected


def test_a_missing_module_of_an_installed_package_is_no_missing_package() -> None:
    assert absent_package(ModuleNotFoundError(name="torch.distributed.nowhere")) is None
    assert absent_package(ModuleNotFoundError(name="no_such_package.part")) == "no_such_package"
    assert absent_package(ModuleNotFoundError()) is None
