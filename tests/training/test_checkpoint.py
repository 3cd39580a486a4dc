"""A checkpoint gives back what was put in, and nothing in it can be executed."""

from __future__ import annotations

import io
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=50)
@given(tree=st.dictionaries(st.text(), trees))
def test_any_tree_of_plain_values_comes_back(
    tmp_path_factory: pytest.TempPathFactory, tree: dict
) -> None:
    path = tmp_path_factory.mktemp("tree") / "a.safetensors"
    checkpoints.save(path, tree)
    assert checkpoints.load(path) == tree


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3).T,
        torch.ones(3, dtype=torch.bfloat16),
        torch.zeros(0, 4),
        torch.tensor(2.5),
        torch.tensor([True, False]),
    ],
)
def test_tensors_come_back_to_the_last_bit(tmp_path: Path, tensor: torch.Tensor) -> None:
    checkpoints.save(tmp_path / "a", {"x": {1: [tensor]}})
    back = checkpoints.load(tmp_path / "a")["x"][1][0]
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok"])
def test_sparse_matrices_come_back_in_their_format(tmp_path: Path, kind: str) -> None:
    matrix = sparse.random(5, 7, 0.4, random_state=0).asformat(kind)
    checkpoints.save(tmp_path / "a", {"x": matrix})
    back = checkpoints.load(tmp_path / "a")["x"]
    assert back.format == kind
    assert (back.toarray() == matrix.toarray()).all()


def test_tied_weights_are_both_kept(tmp_path: Path) -> None:
    weight = torch.randn(3)
    checkpoints.save(tmp_path / "a", {"x": weight, "y": weight, "array": np.arange(3)})
    back = checkpoints.load(tmp_path / "a")
    assert torch.equal(back["x"], back["y"])
    assert back["array"].tolist() == [0, 1, 2]


def test_random_generators_continue_where_they_stood(tmp_path: Path) -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    checkpoints.save(tmp_path / "a", checkpoints.random_state())
    first = draw()
    assert draw() != first
    checkpoints.set_random_state(checkpoints.load(tmp_path / "a"))
    assert draw() == first


def test_what_cannot_be_kept_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"checkpoint\.a\[1\] is a Path|PosixPath"):
        checkpoints.save(tmp_path / "a", {"a": [0, tmp_path]})
    assert not (tmp_path / "a").exists()


def test_a_failed_save_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, {"epoch": 1})

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(path, {"epoch": 2})
    assert checkpoints.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 4, 9, 60, -1])
def test_a_truncated_file_gives_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, {"x": torch.randn(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.safetensors: truncated, or not a checkpoint") as told:
        checkpoints.load(path)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        checkpoints.load(tmp_path / "none")


def test_someone_elses_safetensors_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.ones(2)}, tmp_path / "a")
    with pytest.raises(InputError, match="not a checkpoint of this project"):
        checkpoints.load(tmp_path / "a")


class Bomb:
    """A pickle that leaves a trace where it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_unread(tmp_path: Path, zipped: bool) -> None:
    trace, path, buffer = tmp_path / "exploded", tmp_path / "model.pth", io.BytesIO()
    torch.save(Bomb(trace), buffer)
    path.write_bytes(buffer.getvalue() if zipped else pickle.dumps(Bomb(trace)))
    with pytest.raises(InputError, match=r"model\.pth: this is a pickle, which is never loaded"):
        checkpoints.load(path)
    assert not trace.exists()
