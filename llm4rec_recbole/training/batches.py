"""What RecBole's trainers iterate over here: windows to train on, held-out items to rank."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import stable_order
from llm4rec_recbole.errors import InputError, whole_number
from llm4rec_recbole.evaluation.ranking import draw_negatives
from llm4rec_recbole.registry import ENHANCED_GENREC
from llm4rec_recbole.training.windows import (
    Histories,
    batches,
    causal_targets,
    draw_prompts,
    draw_windows,
    mask_windows,
    masked_items,
    next_items,
)

#: Negatives are drawn once, with this seed, and shared by all methods and all training seeds.
NEGATIVES_SEED = 20250101

POSITION = "position"  # PositionLoader's field


class WindowLoader:
    """Batches of windows over the users' training histories, drawn anew in each epoch.

    Randomness comes from torch's global generator, whose state is part of every checkpoint.
    """

    shuffle = True

    def __init__(self, config: Any, dataset: Any) -> None:
        self.dataset = self._dataset = dataset
        self.config = config
        self.length: int = config["MAX_ITEM_LIST_LENGTH"]
        self.batch_size: int = config["train_batch_size"]
        inter = dataset.inter_feat  # each user's oldest first
        self.histories = Histories.of(
            inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
        )
        lengths = np.diff(self.histories.indptr)
        if lengths.max(initial=0) < 2:
            raise InputError(
                "no user has two training interactions: nothing tells which item follows which",
                hint="take data with longer histories, or a model that does not read them",
            )
        self._windows = int(np.ceil(lengths / self.length).sum())

    def __len__(self) -> int:
        """Batches in an epoch, about: the windows' number varies a little with their offsets."""
        return -(-self._windows // self.batch_size)

    def __iter__(self) -> Iterator[Interaction]:
        random = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        for batch in self.epoch(random):
            yield Interaction({name: torch.from_numpy(array) for name, array in batch.items()})

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        raise NotImplementedError


class CausalLoader(WindowLoader):
    """Inputs (B, L) and next items (B, L): every position is a target."""

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        windows = draw_windows(self.histories, self.length + 1, random)
        windows = windows[windows[:, 1] > 0]  # one item alone has no next one
        item = self.config["ITEM_ID_FIELD"]
        for batch in batches(windows, self.batch_size, random, next_items):
            inputs, targets = causal_targets(batch)
            yield {
                item + self.config["LIST_SUFFIX"]: inputs,
                item: targets,
                self.config["ITEM_LIST_LENGTH_FIELD"]: (inputs > 0).sum(1),
            }


class PositionLoader(WindowLoader):
    """Inputs and next items (B, L) as in CausalLoader, whose they are (B,), and `position` (B, L):
    each input's place among the training interactions, user by user, counted from 1; 0 is none."""

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        items, indptr = self.histories.items, self.histories.indptr
        user = np.repeat(self.histories.users, np.diff(indptr))
        places = Histories(np.arange(1, len(items) + 1), indptr, self.histories.users)
        windows = draw_windows(places, self.length + 1, random)
        windows = windows[windows[:, 1] > 0]
        padded = np.concatenate([[0], items])
        item = self.config["ITEM_ID_FIELD"]
        for batch in batches(windows, self.batch_size, random, next_items):
            inputs, targets = causal_targets(batch)
            yield {
                self.config["USER_ID_FIELD"]: user[inputs[:, 0] - 1],
                item + self.config["LIST_SUFFIX"]: padded[inputs],
                item: padded[targets],
                POSITION: inputs,
            }


class ClozeLoader(WindowLoader):
    """Masked windows (B, L), and what stood at the masked positions (B, M)."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        item = config["ITEM_ID_FIELD"]
        # The names under which RecBole's BERT4Rec looks for its input; RecBole sets them as a
        # side effect of its own transform.
        config["MASK_ITEM_SEQ"] = f"Mask_{item}{config['LIST_SUFFIX']}"
        config["POS_ITEMS"], config["NEG_ITEMS"] = f"Pos_{item}", f"Neg_{item}"
        config["MASK_INDEX"] = "MASK_INDEX"

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        config = self.config
        windows = draw_windows(self.histories, self.length, random)
        windows = windows[windows[:, 1] > 0]  # one item alone leaves nothing to predict it from
        mask_token = self.dataset.num(config["ITEM_ID_FIELD"])
        ratio = config["mask_ratio"]
        masked = partial(masked_items, ratio=ratio)
        for batch in batches(windows, self.batch_size, random, masked):
            cloze = mask_windows(batch, ratio, config["ft_ratio"], mask_token, random)
            yield {
                config["MASK_ITEM_SEQ"]: cloze.masked,
                config["POS_ITEMS"]: cloze.items,
                config["NEG_ITEMS"]: cloze.items,  # read by the loss, used only by its BPR form
                config["MASK_INDEX"]: cloze.positions,
            }


class PromptLoader(WindowLoader):
    """Users (B,), histories (B, L) and next items (B, n), with their rows in the training data.

    `row` (B, n) is -1 where there is no next item; elsewhere a model finds there what else is known
    of the interaction, its rating or review.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        users = dataset.inter_feat[dataset.uid_field].numpy()
        self.rows = stable_order(users)  # as Histories groups them
        self.targets = whole_number("targets_per_prompt", config["targets_per_prompt"])
        self._windows = int(np.ceil(np.diff(self.histories.indptr) / self.targets).sum())

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        prompts = draw_prompts(self.histories, self.length, self.targets, random)
        config, item = self.config, self.config["ITEM_ID_FIELD"]
        for start in range(0, len(prompts.users), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            before, after = prompts.before[chosen], prompts.after[chosen]
            is_item = after >= 0
            yield {
                config["USER_ID_FIELD"]: self.histories.users[prompts.users[chosen]],
                item + config["LIST_SUFFIX"]: before,
                config["ITEM_LIST_LENGTH_FIELD"]: (before > 0).sum(1),
                item: np.where(is_item, self.histories.items[after], 0),
                "row": np.where(is_item, self.rows[after], -1),
            }


OF_MODEL: dict[str, type[WindowLoader]] = {
    "BERT4Rec": ClozeLoader,
    "GenRec": CausalLoader,
    "P5": PromptLoader,
    "SASRec": CausalLoader,
    **dict.fromkeys(ENHANCED_GENREC, PositionLoader),
}


class HeldOutLoader:
    """The held-out items of one phase, with the negatives that all methods share."""

    def __init__(self, config: Any, dataset: Any) -> None:
        self.dataset = self._dataset = dataset
        self.config = config
        self.held_out: HeldOut = dataset.held_out
        self.batch_size: int = config["eval_batch_users"]
        self._negatives: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return -(-len(self.held_out) // self.batch_size)

    def negatives(self) -> tuple[np.ndarray, np.ndarray]:
        """100 uniform and 100 popular negatives, (U, 100) each; popularity is that in training."""
        if self._negatives is None:
            uniform = np.ones(self.held_out.n_items)
            popular = self.dataset.train_counts  # (n_items,)
            self._negatives = (
                draw_negatives(self.held_out, uniform, 100, NEGATIVES_SEED),
                draw_negatives(self.held_out, popular, 100, NEGATIVES_SEED + 1),
            )
        return self._negatives
