from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.tiny_language_models import random_model

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported: no test asks a hub
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "toy", "story", "heat", "war", "drama", "the", "."]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Transformer of all-MiniLM's kind, two layers of 16 numbers, at random."""
    from transformers import BertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    random_model(
        "Bert",
        "Model",
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
    ).save_pretrained(folder)
    return folder
