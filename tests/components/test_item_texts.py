"""The trained map of items' texts."""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.fusion.item_content import whitened
from llm4rec_recbole.components.item_texts import ItemTexts


def test_the_map_reads_whitened_texts_and_adds_nothing_without_a_text() -> None:
    texts = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    texts[0] = texts[7] = 0
    torch.manual_seed(0)
    added = ItemTexts(texts, 64, std=0.1)
    own, ids = torch.zeros(300, 64), torch.tensor([3, 7, 0, 12])
    part = added.add_to(own).detach()
    naive = whitened(texts, 128) @ added.map.weight.detach().numpy().T
    np.testing.assert_allclose(part.numpy(), naive, atol=1e-5)
    assert not part[[0, 7]].any()
    with_text = part[torch.from_numpy(texts.any(1))]
    assert abs(float(with_text.square().mean().sqrt()) - 0.1) < 0.01
    torch.testing.assert_close(added.add_to(own[ids], ids).detach(), part[ids])
    assert set(added.state_dict()) == {"map.weight"}
