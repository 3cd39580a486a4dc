"""Training batches of the sequence models: windows over histories, as RecBole's trainers read them.

A model names its batches by the class attribute `batches`:

    causal     every position predicts the next item                     SASRec, GenRec
    cloze      masked positions predict themselves                       BERT4Rec
    position   causal, with each input's row in the training data        EnhancedGenRec
    prompt     a history and the items that follow it                    P5
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch import Tensor

from llm4rec_recbole.data.exact_order import stable_order
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.training.losses import SampledLoss
from llm4rec_recbole.training.windows import (
    Histories,
    batches,
    causal_targets,
    draw_prompts,
    draw_windows,
    mask_windows,
    masked_items,
    similar_lengths,
)

POSITION = "position"  # PositionLoader's field


def training_histories(dataset: Any) -> Histories:
    """The histories of RecBole's training data, of which each user's come oldest first."""
    if (histories := getattr(dataset, "histories", None)) is not None:
        return histories
    inter = dataset.inter_feat
    return Histories.of(inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy())


class WindowLoader:
    """Batches of windows over the users' training histories, drawn anew in each epoch.
    Randomness comes from torch's global generator, whose state is part of every checkpoint."""

    shuffle = True
    #: Tokens of each item in a prompt, (n_items,), of a model that reads items as several tokens.
    item_tokens: np.ndarray | None = None

    def __init__(self, config: Any, dataset: Any) -> None:
        self.dataset = self._dataset = dataset
        self.config = config
        self.length: int = config["MAX_ITEM_LIST_LENGTH"]
        self.window_length = self.length + 1  # the inputs and the last one's target
        self.batch_size: int = config["train_batch_size"]
        self.batch_targets: int = config["batch_targets"] or 0
        self.input_field = config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]
        self._positions = self._filled = 0  # of the inputs so far
        self.histories = training_histories(dataset)
        lengths = self.histories.lengths
        if lengths.max(initial=0) < 2:
            raise InputError(
                "no user has two training interactions, so no item follows another",
                hint="take data with longer histories, or a model that does not read them",
            )
        self._windows = int(np.ceil(lengths / self.length).sum())

    def __len__(self) -> int:
        """About how many batches an epoch has: the number of windows varies with their offsets."""
        if self.batch_targets:
            return max(1, round(self._targets / self.batch_targets))
        return -(-self._windows // self.batch_size)

    def __iter__(self) -> Iterator[Interaction]:
        random = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        for batch in self.epoch(random):
            inputs = batch[self.input_field]  # (B, L)
            self._positions += inputs.size
            self._filled += int(np.count_nonzero(inputs))
            yield Interaction({name: torch.from_numpy(array) for name, array in batch.items()})

    @property
    def padding_share(self) -> float | None:
        """The share of the input positions so far that held no item; None before the first."""
        return 1 - self._filled / self._positions if self._positions else None

    @cached_property
    def _targets(self) -> int:
        """The targets of one epoch's windows; another epoch has about as many."""
        windows = draw_windows(self.histories, self.window_length, np.random.default_rng(0))
        lengths = windows.lengths
        return int(self.targets_of(lengths[lengths > 1]).sum())

    def targets_of(self, lengths: np.ndarray) -> np.ndarray:
        """How many targets windows of these lengths (W,) have, (W,)."""
        return lengths - 1  # all but the last have a next item

    def batches(self, histories: Histories, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Windows of `histories` in batches (B, L): see training/windows.py. With `item_tokens` a
        batch holds windows with about as many tokens."""
        windows = draw_windows(histories, self.window_length, random)
        windows = windows.of_rows(windows.lengths > 1)  # of one item alone nothing is predicted
        if self.item_tokens is not None:
            tokens = windows.sums(self.item_tokens)  # (W,)
            rows_of_batches = similar_lengths(tokens, self.batch_size, random)
            return (windows.table(rows) for rows in rows_of_batches)
        return batches(windows, self.batch_size, random, self.targets_of, self.batch_targets)

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        raise NotImplementedError


class CausalLoader(WindowLoader):
    """Inputs (B, L) and next items (B, L): every position is a target."""

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        item = self.config["ITEM_ID_FIELD"]
        for batch in self.batches(self.histories, random):
            inputs, targets = causal_targets(batch)
            yield {
                item + self.config["LIST_SUFFIX"]: inputs,
                item: targets,
                self.config["ITEM_LIST_LENGTH_FIELD"]: (inputs > 0).sum(1),
            }


class PositionLoader(WindowLoader):
    """Inputs and next items (B, L) as in CausalLoader, their users (B,), and `position` (B, L): the
    row of an input among the training interactions, user by user, counted from 1; 0 at the padding.
    """

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        histories = self.histories.joined()
        user = np.repeat(histories.users, histories.lengths)
        row_numbers = replace(histories, items=np.arange(1, len(histories.items) + 1))
        padded = np.concatenate([[0], histories.items])
        item = self.config["ITEM_ID_FIELD"]
        for batch in self.batches(row_numbers, random):
            inputs, targets = causal_targets(batch)
            yield {
                self.config["USER_ID_FIELD"]: user[inputs[:, 0] - 1],
                item + self.config["LIST_SUFFIX"]: padded[inputs],
                item: padded[targets],
                POSITION: inputs,
            }


class ClozeLoader(WindowLoader):
    """Masked windows (B, L), and the items at the masked positions (B, M)."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        item = config["ITEM_ID_FIELD"]
        # RecBole's BERT4Rec reads its input under these names. RecBole's own transform sets them
        # as a side effect.
        config["MASK_ITEM_SEQ"] = f"Mask_{item}{config['LIST_SUFFIX']}"
        config["POS_ITEMS"], config["NEG_ITEMS"] = f"Pos_{item}", f"Neg_{item}"
        config["MASK_INDEX"] = "MASK_INDEX"
        self.input_field = config["MASK_ITEM_SEQ"]
        self.window_length = self.length  # its targets are among its inputs

    def targets_of(self, lengths: np.ndarray) -> np.ndarray:
        """How many items of windows of these lengths (W,) are masked, (W,)."""
        return masked_items(lengths, self.config["mask_ratio"])

    def epoch(self, random: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        config = self.config
        mask_token = self.dataset.num(config["ITEM_ID_FIELD"])
        shares = config["mask_ratio"], config["ft_ratio"]
        for batch in self.batches(self.histories, random):
            cloze = mask_windows(batch, *shares, mask_token, random)
            yield {
                config["MASK_ITEM_SEQ"]: cloze.masked,
                config["POS_ITEMS"]: cloze.items,
                config["NEG_ITEMS"]: cloze.items,  # for the BPR loss, which is refused
                config["MASK_INDEX"]: cloze.positions,
            }


class PromptLoader(WindowLoader):
    """Users (B,), histories (B, L) and next items (B, n), with their rows in the training data:
    `row` (B, n) is -1 where there is no next item. A model looks up ratings and reviews by row."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        users = dataset.inter_feat[dataset.uid_field].numpy()
        self.histories = self.histories.joined()  # so that its positions are positions in `rows`
        self.rows = stable_order(users)  # as Histories groups them
        self.targets = config["targets_per_prompt"]
        self._windows = int(np.ceil(self.histories.lengths / self.targets).sum())

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


#: The loader of each value of a model's class attribute `batches`.
LOADERS: dict[str, type[WindowLoader]] = {
    "causal": CausalLoader,
    "cloze": ClozeLoader,
    "position": PositionLoader,
    "prompt": PromptLoader,
}


class BatchItems:
    """The items that one batch reads: in its histories, its targets and its negatives.

    With a sampled loss, what a model computes for each item is computed for these alone. Rows count
    within `ids`, (M,) ascending; its first entry is the pad. `ids` is None where the loss reads
    all items; rows are then the item ids.
    """

    def __init__(self, loss: Callable[..., Tensor], items: Tensor, targets: Tensor) -> None:
        """loss: from `catalogue_loss`; items: any shape; targets: (N,), all that the loss gets."""
        self.ids: Tensor | None = None
        self._loss, self._drawn = loss, None
        if isinstance(loss, SampledLoss):
            negatives, log_counts = loss.draw(targets)
            read = torch.cat([items.flatten(), targets, negatives, negatives.new_zeros(1)])
            self.ids = read.unique()
            self._drawn = self.rows(negatives), log_counts

    def rows(self, items: Tensor) -> Tensor:
        """The rows of `items`, in their shape."""
        return items if self.ids is None else torch.searchsorted(self.ids, items)

    def of(self, values: Tensor) -> Tensor:
        """The values (n_items, ...) of the items that the batch reads, (M, ...)."""
        return values if self.ids is None else values[self.ids]

    def loss(self, *args: Any) -> Tensor:
        """The mean loss, a scalar; arguments as of full_cross_entropy, targets as rows."""
        if self._drawn is None:
            return self._loss(*args)
        return self._loss(*args, drawn=self._drawn)
