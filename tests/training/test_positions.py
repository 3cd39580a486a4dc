"""PositionLoader: where each input of a window stands among the training interactions."""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.training_features import training_features
from llm4rec_recbole.training.batches import POSITION
from llm4rec_recbole.training.experiment import prepare


def test_positions_are_rows_of_what_the_model_knows(options) -> None:
    given = options | {"llm": "scratch-32x1", "llm_layers": 1, "text_encoder": "hash-16"}
    run = prepare("EnhancedGenRec", "two_cycles", options=given | {"components": []})
    known = training_features(run.config, run.data.train.dataset)
    seen = 0
    for batch in run.data.train:
        items, targets = batch["item_id_list"].numpy(), batch["item_id"].numpy()
        position, there = batch[POSITION].numpy(), batch["item_id_list"].numpy() > 0
        rows = position[there] - 1
        assert (position[~there] == 0).all()
        np.testing.assert_array_equal(known.items[rows], items[there])
        np.testing.assert_array_equal(known.items[rows + 1], targets[there])
        users = np.broadcast_to(batch["user_id"].numpy()[:, None], there.shape)[there]
        np.testing.assert_array_equal(known.users[rows], users)
        np.testing.assert_array_equal(known.users[rows + 1], users)
        seen += there.sum()
    assert seen >= len(known.items) - known.n_users  # every pair, some twice where windows overlap
    assert isinstance(batch[POSITION], torch.Tensor)
