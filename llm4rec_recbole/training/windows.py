"""Training examples for sequence models: windows over whole histories.

RecBole makes one row of every prefix of a history, and each row costs a forward pass for a single
target. A window costs the same pass and trains all its positions:

    history   a b c d e f g h          (one user's training items, oldest first)
    windows   [b c d e] [f g h .]      length 4, at a new random offset in each epoch
    causal    b→c c→d d→e              every position predicts the next item  (SASRec)
    cloze     b ? d ?                  masked positions predict themselves    (BERT4Rec)

The functions take and return arrays; they use neither RecBole nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.data.exact_order import stable_order
from llm4rec_recbole.data.held_out import between

_AT_ONCE = 1 << 13  # windows read at once; their positions stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Histories:
    """The training items of all users, user by user, each user's oldest first."""

    items: np.ndarray  # (N,) item ids from 1, of any integer type
    starts: np.ndarray  # (U,) int64; user row u has items[starts[u]:stops[u]]
    stops: np.ndarray  # (U,) int64
    users: np.ndarray  # (U,) int64, the ids of the users

    @classmethod
    def of(cls, users: np.ndarray, items: np.ndarray) -> Histories:
        """Group interactions (N,), each user's given oldest first, by user."""
        order = stable_order(users)
        users = users[order]
        starts = np.append(0, np.flatnonzero(users[1:] != users[:-1]) + 1)[: len(users)]
        return cls(items[order], starts, np.append(starts[1:], len(items)), users[starts])

    @property
    def lengths(self) -> np.ndarray:
        """How many items each user has, (U,) int64."""
        return self.stops - self.starts

    @property
    def indptr(self) -> np.ndarray:
        """Where each user's items start if nothing stands between two users', (U + 1,) int64."""
        return np.append(0, np.cumsum(self.lengths))

    def joined(self) -> Histories:
        """The same histories with nothing between two users' items, which are int64."""
        ends = self.indptr
        if len(self.items) == ends[-1]:
            items = self.items
        else:
            items = self.items[between(self.starts, self.stops, len(self.items))]
        return Histories(items.astype(np.int64, copy=False), ends[:-1], ends[1:], self.users)


@dataclass(frozen=True, eq=False)
class Windows:
    """Parts of histories, by their positions in the items. Their items are read when a batch needs
    them."""

    items: np.ndarray  # (N,) items of the histories
    first: np.ndarray  # (W,) int64, positions in `items`
    lengths: np.ndarray  # (W,) int64, at least 1
    length: int  # of the longest window that could be

    def __len__(self) -> int:
        return len(self.first)

    def of_rows(self, rows: np.ndarray) -> Windows:
        """The windows `rows` (B,), numbers or a mask."""
        return Windows(self.items, self.first[rows], self.lengths[rows], self.length)

    def table(
        self, rows: np.ndarray | slice = slice(None), length: int | None = None
    ) -> np.ndarray:
        """The items of the windows `rows` (B,), (B, length) int64, 0 on the right."""
        lengths, first = self.lengths[rows], self.first[rows]
        column = np.arange(self.length if length is None else length)
        filled = column < lengths[:, None]  # (B, length)
        windows = np.zeros(filled.shape, dtype=np.int64)
        windows[filled] = self.items[(first[:, None] + column)[filled]]
        return windows

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of each window's `values` (n_items,), the pad's included, (W,)."""
        spans = (slice(start, start + _AT_ONCE) for start in range(0, len(self), _AT_ONCE))
        return np.concatenate([values[:0], *(values[self.table(span)].sum(1) for span in spans)])


def draw_windows(histories: Histories, length: int, random: np.random.Generator) -> Windows:
    """Cut every history into windows of `length` items, in random order.

    A history longer than `length` is cut at a random offset; its first and last windows are moved
    inside, so that all are full (they overlap the next ones). A shorter one is one window.
    """
    lengths = histories.lengths  # (U,)
    offsets = random.integers(0, length, len(lengths)) - length  # the first window may start early
    counts = np.where(lengths > length, -((offsets - lengths) // length), 1)  # (U,) windows each
    user = np.repeat(np.arange(len(lengths)), counts)  # (W,)
    nth = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    last_start = np.maximum(lengths - length, 0)[user]
    starts = np.clip(offsets[user] + nth * length, 0, last_start)
    again = (np.diff(user, prepend=-1) == 0) & (np.diff(starts, prepend=-1) == 0)
    user, starts = user[~again], starts[~again]
    order = random.permutation(len(user))
    user, starts = user[order], starts[order]
    first = histories.starts[user] + starts
    return Windows(histories.items, first, np.minimum(lengths, length)[user], length)


def batches(
    windows: Windows,
    size: int,
    random: np.random.Generator,
    targets: Callable[[np.ndarray], np.ndarray],
    n_targets: int = 0,
) -> Iterator[np.ndarray]:
    """The items of `windows`, which come in random order, `size` windows at a time, (size, L).

    Where most of them is padding, windows of similar length go together instead, each batch cut to
    its longest window. There are at most ceil(W / size) batches, in random order. A loss is a mean
    over its batch, so each batch gets about as many targets as the others. targets: how many a
    window of each length (W,) has, (W,).

    With `n_targets` windows of like length always go together, about n_targets targets in a batch.
    """
    lengths = windows.lengths  # (W,)
    if not n_targets and 2 * lengths.sum() >= len(windows) * windows.length:
        for start in range(0, len(windows), size):
            yield windows.table(slice(start, start + size))
        return
    order = np.argsort(lengths, kind="stable")  # windows of one length stay in random order
    so_far = targets(lengths[order]).cumsum()
    if n_targets:
        n_batches = max(1, round(int(so_far[-1]) / n_targets))
    else:
        n_batches = -(-len(windows) // size)
    shares = so_far[-1] * np.arange(1, n_batches) / n_batches
    cuts = np.searchsorted(so_far, shares, side="right")
    parts = [part for part in np.split(order, cuts) if len(part)]
    for number in random.permutation(len(parts)):
        yield windows.table(parts[number], int(lengths[parts[number]].max()))


def similar_lengths(
    lengths: np.ndarray, size: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Row numbers in batches of `size` rows of similar length, in random order. lengths: (W,) of
    rows that come in random order; rows of one length stay in it."""
    order = np.argsort(lengths, kind="stable")
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [parts[part] for part in random.permutation(len(parts))]


def causal_targets(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and next items, (W, L) each, from windows (W, L + 1); 0 where there is no target."""
    inputs, targets = windows[:, :-1], windows[:, 1:]
    return np.where(targets > 0, inputs, 0), targets


@dataclass(frozen=True)
class Cloze:
    """Windows with masked positions; M positions a window, unused ones have position and item 0."""

    masked: np.ndarray  # (W, L) int64, the mask token where an item was masked
    items: np.ndarray  # (W, M) int64, the masked items
    positions: np.ndarray  # (W, M) int64, their positions


def masked_items(lengths: np.ndarray, ratio: float) -> np.ndarray:
    """How many items of windows of these lengths (W,) are masked, (W,) int64."""
    return np.maximum(np.round(ratio * lengths).astype(np.int64), 1)


def mask_windows(
    windows: np.ndarray,
    ratio: float,
    last_only: float,
    mask_token: int,
    random: np.random.Generator,
) -> Cloze:
    """Mask a share `ratio` of each window's items, at least one.

    In a share `last_only` of the windows only the last item is masked, as at test time (Sun et al.
    2019, section 3.6). Position 0 is never masked: it means "no target" in RecBole's loss.
    """
    n_windows, length = windows.shape
    lengths = (windows > 0).sum(1)  # (W,)
    most = max(1, round(ratio * length))
    counts = np.minimum(masked_items(lengths, ratio), most)
    priority = random.random(windows.shape)
    priority[:, 0] = 2
    priority[windows == 0] = 3
    positions = np.argsort(priority, axis=1)[:, :most]  # (W, M)
    used = np.arange(most) < counts[:, None]
    last = random.random(n_windows) < last_only
    positions[last, 0], used[last, 1:] = lengths[last] - 1, False
    used &= (positions > 0) & np.take_along_axis(windows > 0, positions, axis=1)
    positions = np.where(used, positions, 0)
    items = np.where(used, np.take_along_axis(windows, positions, axis=1), 0)
    masked = windows.copy()
    rows = np.broadcast_to(np.arange(n_windows)[:, None], positions.shape)
    masked[rows[used], positions[used]] = mask_token
    return Cloze(masked, items, positions)


@dataclass(frozen=True)
class Prompts:
    """Positions in users' histories, each with the items before and after it."""

    users: np.ndarray  # (P,) int64, user rows
    before: np.ndarray  # (P, L) int64, the last items before the position, oldest first, 0 right
    after: np.ndarray  # (P, n) int64, indices of the next items in `Histories.items`, -1 right


def draw_prompts(
    histories: Histories, length: int, targets: int, random: np.random.Generator
) -> Prompts:
    """Draw prompts at every `targets`-th position of each history, from a random one on, in random
    order.

    A prompt has the last `length` items before its position, and the next `targets` items as
    answers. Items before the first position are no targets in this draw.
    """
    lengths = histories.lengths  # (U,)
    offsets = 1 + random.integers(0, np.clip(lengths - 1, 1, targets))  # (U,) the first position
    counts = np.maximum(-((offsets - lengths) // targets), 0)  # (U,)
    user = random.permutation(np.repeat(np.arange(len(lengths)), counts))
    order = np.argsort(user, kind="stable")
    nth = np.empty(len(user), dtype=np.int64)
    nth[order] = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    position = offsets[user] + nth * targets  # (P,) items before it
    start = histories.starts[user]
    n_before = np.minimum(position, length)
    column = np.arange(length)
    index = (start + position - n_before)[:, None] + column
    is_filled = column < n_before[:, None]
    before = np.where(is_filled, histories.items[np.where(is_filled, index, 0)], 0)
    after = position[:, None] + np.arange(targets)
    after = np.where(after < lengths[user][:, None], start[:, None] + after, -1)
    return Prompts(user, before, after)
