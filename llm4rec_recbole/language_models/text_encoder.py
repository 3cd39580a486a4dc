"""Text to vectors: the mean of a frozen pretrained Transformer's token states, at length 1.

Eq. (2) of the paper, h_text = Transformer(E·w + P), is the forward pass of this model. The default,
all-MiniLM-L6-v2, comes with a package and needs no network. A folder or a name on the Hugging Face
hub works as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from llm4rec_recbole.language_models import sources
from llm4rec_recbole.language_models.compute_dtype import fastest_dtype


def load_encoder(name: str = sources.DEFAULT_ENCODER) -> PretrainedEncoder | HashEncoder:
    """The encoder `name`: the packaged one, a folder, a hub name, or `hash-<d>`. Raises
    InputError."""
    size = sources.hash_size(name)
    return PretrainedEncoder(name) if size is None else HashEncoder(size)


def text_states(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Eq. (2): h_text = Transformer(E·w + P): the state of each token, (B, T, d). model: a
    transformers model; ids: (B, T) token ids w; mask: (B, T), 0 at padding."""
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of each text's token states, at length 1: (B, d) float32 from (B, T, d), (B, T)."""
    sums = (states.float() * mask[..., None]).sum(1)  # (B, d); the length is normalised away
    return torch.nn.functional.normalize(sums, dim=-1)


class PretrainedEncoder:
    """A transformers model from a package, a folder or the hub. The same texts in the same order
    on the same machine give the same bits."""

    max_prompt_tokens = 256  # longer texts are truncated
    batch_size = 128  # texts

    def __init__(self, name: str) -> None:
        sources.import_transformers()
        from transformers import AutoModel

        self.name = name
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = fastest_dtype(self.device)
        self.dtype = str(dtype).removeprefix("torch.")
        kind = "text encoder"
        folder = sources.model_folder(name, kind)
        packaged = sources.DEFAULT_ENCODER
        hint = f"a folder, a hub name where there is a network, or the packaged {packaged}"
        with sources.as_input_error(kind, name, hint):
            self.tokenizer = sources.load_tokenizer(folder)
            self.model = sources.load_complete(AutoModel, folder, dtype=dtype)
        self.model.eval().to(self.device)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1, zeros for "". Similar lengths share a batch."""
        vectors = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        if not any(texts):
            return vectors
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_prompt_tokens)[
            "input_ids"
        ]
        order = np.argsort([len(row) for row in ids], kind="stable")
        order = order[[bool(texts[row]) for row in order]]
        with torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                rows = order[start : start + self.batch_size]
                words = pad_sequence([torch.tensor(ids[row]) for row in rows], batch_first=True)
                lengths = torch.tensor([len(ids[row]) for row in rows])
                mask = (torch.arange(words.shape[1]) < lengths[:, None]).long().to(self.device)
                states = text_states(self.model, words.to(self.device), mask)
                vectors[rows] = mean_pooled(states, mask).cpu().numpy()
        return vectors


class HashEncoder:
    """For tests: each word is a pseudo-random vector of ±1. The name `hash-<d>` marks such vectors
    in every record."""

    dtype = "float32"

    def __init__(self, d: int) -> None:
        self.name, self.d = f"hash-{d}", d

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32: the sum of the words' vectors, at length 1."""
        vectors = np.zeros((len(texts), self.d), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                bits = hashlib.shake_256(word.encode()).digest((self.d + 7) // 8)
                vectors[row] += 2.0 * np.unpackbits(np.frombuffer(bits, np.uint8))[: self.d] - 1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)
