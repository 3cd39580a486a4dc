"""A checkpoint gives back what was put in, and nothing in it can be executed."""

from __future__ import annotations

import io
import os
import pickle
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat import model_state

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

    checkpoints.save(tmp_path / "a", model_state.random_state())
    first = draw()
    assert draw() != first
    model_state.set_random_state(checkpoints.load(tmp_path / "a"))
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


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    tree = {"config": {"model": "EASE"}, "x": torch.ones(50), "y": {1: torch.arange(3)}}
    checkpoints.save(path, tree)
    return path


def refused(path: Path, reason: str = "") -> None:
    """Loading and marking refuse the file in one line."""
    for use in (checkpoints.load, checkpoints.mark_finished):
        with pytest.raises(InputError, match=rf"a\.safetensors: .*{reason}") as caught:
            use(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 4, 8, 9, 60, -1])
def test_a_truncated_file_is_refused_in_one_line(checkpoint: Path, length: int) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    refused(checkpoint)


@settings(max_examples=300)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.safetensors"
    checkpoints.save(path, {"config": {"model": "EASE"}, "x": torch.ones(50)})
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    path.write_bytes(content)
    refused(path)
    with suppress(InputError):  # a header may be read from a file whose tensors are damaged
        checkpoints.read_header(path)


def resealed(path: Path, old: bytes, new: bytes) -> None:
    """Change the header and make the checksum fit: what a file of another program may hold."""
    content = path.read_bytes()
    header, body = checkpoints._split(content, path)
    digest = checkpoints._digest_of(header).encode()
    assert old in header
    text = header[8:].replace(digest, b"0" * 64).replace(old, new)
    checkpoints._write(path, len(text).to_bytes(8, "little") + text, body)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{\\"config', b'[\\"config'),
        (b'"tree":"{', b'"tree":"7{'),
        (b'"tree":', b'"branch":'),
        (b'"finished":"0"', b'"finished":0'),
        (b'"F32"', b'"F99"'),
        (b'"F32"', b"[]"),
        (b'"shape":[50]', b'"shape":[51]'),
        (b'"shape":[50]', b'"shape":"x"'),
        (b'"data_offsets"', b'"offsets"'),
        (b'{\\"$tensor\\": \\"0\\"}', b'{\\"$tensor\\": \\"9\\"}'),
        (b'{\\"$tensor\\": \\"0\\"}', b'{\\"$sparse\\": \\"csr\\"}'),
        (b'{\\"$tensor\\": \\"0\\"}', b'{\\"$pairs\\": [7]}'),
    ],
)
def test_a_header_of_another_program_is_refused(checkpoint: Path, old: bytes, new: bytes) -> None:
    resealed(checkpoint, old, new)
    with pytest.raises(InputError, match="damaged, truncated, or not a checkpoint"):
        checkpoints.load(checkpoint)


def test_another_version_is_named(checkpoint: Path) -> None:
    resealed(checkpoint, b"llm4rec checkpoint 2", b"llm4rec checkpoint 1")
    refused(checkpoint, "llm4rec checkpoint 1, not llm4rec checkpoint 2")
    with pytest.raises(InputError, match="checkpoint 1"):
        checkpoints.read_header(checkpoint)


def test_weights_that_are_nan_are_refused(tmp_path: Path) -> None:
    weight = torch.ones(4, dtype=torch.bfloat16)
    weight[2] = torch.nan
    checkpoints.save(tmp_path / "a", {"state_dict": {"layer.weight": weight}})
    with pytest.raises(InputError, match=r"a: state_dict\.layer\.weight holds NaN"):
        checkpoints.load(tmp_path / "a")


def test_infinite_masks_are_not_refused(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a", {"mask": torch.tensor([0.0, -torch.inf])})
    assert checkpoints.load(tmp_path / "a")["mask"].tolist() == [0.0, -torch.inf]


def test_a_checkpoint_states_its_run_and_whether_it_finished(checkpoint: Path) -> None:
    before = checkpoints.load(checkpoint)
    assert checkpoints.read_header(checkpoint) == ({"model": "EASE"}, False)
    checkpoints.mark_finished(checkpoint)
    assert checkpoints.read_header(checkpoint) == ({"model": "EASE"}, True)
    after = checkpoints.load(checkpoint)
    assert torch.equal(after["x"], before["x"])
    assert after["config"] == before["config"]


def test_the_safetensors_library_reads_the_file(checkpoint: Path) -> None:
    from safetensors.torch import load_file

    checkpoints.mark_finished(checkpoint)
    assert torch.equal(load_file(checkpoint)["0"], torch.ones(50))


@pytest.mark.parametrize("kind", ["null", "zero", "fifo", "folder"])
def test_what_is_not_a_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = Path(f"/dev/{kind}") if kind in ("null", "zero") else tmp_path / "a"
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "folder":
        path.mkdir()
    for use in (checkpoints.load, checkpoints.read_header, checkpoints.mark_finished):
        with pytest.raises(InputError, match="not a regular file"):
            use(path)


def test_a_path_that_is_not_utf_8_works(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/surr\xe9"))
    checkpoints.save(folder / "a", {"x": torch.ones(2)})
    assert checkpoints.load(folder / "a")["x"].tolist() == [1, 1]
    with pytest.raises(InputError, match=r"surr\\xe9/b: no such file") as caught:
        checkpoints.load(folder / "b")
    str(caught.value).encode()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
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
