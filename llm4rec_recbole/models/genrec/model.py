"""GenRec: a language model reads a user's titles and writes the next title (arXiv 2307.00457).

    What one user chose, one after another: ⏎ Toy Story ⏎ GoldenEye ⏎ Four Rooms ⏎  ──▶  Get Shorty

Training packs a whole window of a history into one sequence, in which every title after the first
is a target. The paper has one prompt for each target. An item's score is the log-probability of its
title. The option `softmax_over` defines the probability, in training and in evaluation:

    catalogue    at each token, softmax over the tokens that continue a title: a distribution over
                 items. Tokens without an alternative have probability 1 and need no forward pass.
    vocabulary   softmax over all tokens that titles use, as in a language model.

Both are exact. catalogue is the default: scores of all items are affordable with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor
from torch.nn.functional import cross_entropy

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.decoding.tree_decoder import padded
from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.compute_dtype import compute_dtype
from llm4rec_recbole.models.generative import GenerativeRecommender
from llm4rec_recbole.models.genrec.title_model import (
    TitleModel,
    Tokens,
    end_of_title,
    titles_of,
    unique_title_tokens,
)

_ROOT = 1  # 1 + the number of the trie's root, where every title begins


class GenRec(GenerativeRecommender, SequentialRecommender):
    """Raises InputError for combinations of options that cannot be trained."""

    batches = "causal"  # training/batches.py
    eval_users = 16
    sorts_prompts = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.pretrained: str = config["llm"]
        self.over: str = config["softmax_over"]
        if self.decoding == "unconstrained" and self.over == "catalogue":
            message = "unconstrained decoding needs a model trained to write whole titles"
            raise InputError(message, hint="--softmax_over=vocabulary")
        dtype = compute_dtype(config["llm_dtype"], config["device"].type)
        self.llm_dtype = str(dtype).removeprefix("torch.")  # for the run record
        self.llm = TitleModel(config["llm"], config["llm_layers"], config["lora_rank"], dtype)
        self.decoder = self.llm.decoder
        names = list(dataset.field2id_token[self.ITEM_ID][1:])
        files = DatasetFiles.of(config)
        titles, years = titles_of(files.path("item"), names, files.file_format)
        prompt = self._read_titles(titles, years, names, config)

        self.budget = min(config["max_prompt_tokens"], self.llm.context - self.trie.max_depth)
        longest = max(map(len, self.titles))
        if len(prompt) + longest > self.budget:
            message = f"a title of {longest} tokens does not fit into {self.budget}"
            raise InputError(
                message, hint="lower --max_title_tokens, or a larger --max_prompt_tokens"
            )
        self.prompt = prompt

    def _read_titles(
        self, titles: list[str], years: list[str], names: list[str], config: Any
    ) -> Tokens:
        """Set titles and trie, with used tokens numbered from 0, the end; return the prompt."""
        tokenizer = self.llm.tokenizer
        end = end_of_title(tokenizer, config["llm"])

        def tokenize(text: str) -> Tokens:
            ids = tokenizer.encode(text, add_special_tokens=False)
            return [token for token in ids if token != end]

        max_tokens = config["max_title_tokens"]
        title_tokens = unique_title_tokens(titles, years, names, tokenize, max_tokens)
        prompt = tokenize(config["prompt"])
        used = [
            end,
            *sorted({token for tokens in (*title_tokens, prompt) for token in tokens} - {end}),
        ]
        number = {token: index for index, token in enumerate(used)}
        self.llm.restrict_vocabulary(used)
        title_tokens = [[number[token] for token in tokens] for tokens in title_tokens]
        full = ItemTrie.build(title_tokens, end=0)
        self.trie = full.shortest() if self.over == "catalogue" else full
        self.end = None if self.over == "catalogue" else 0
        self.titles: list[Tokens] = [[], *([*tokens, 0] for tokens in title_tokens)]
        lengths = [len(tokens) for tokens in self.titles[1:]]
        self.item_tokens = np.array([len(title) for title in self.titles])  # training/batches.py
        self.choices = [[], *_choices(self.trie, lengths, self.over)]
        return [*(number[token] for token in prompt), 0]

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the mean of -log P(title | titles before) over the targets of the windows."""
        sequences, later = interaction[self.ITEM_SEQ], interaction[self.ITEM_ID]
        if later.dim() == 1:  # one target a row, under `protocol: recbole`
            windows = torch.cat([sequences, later[:, None]], 1)
        else:
            windows = torch.cat([sequences[:, :1], later], 1)  # (B, 1 + L)
        packed = [self._pack([item for item in row if item]) for row in windows.tolist()]
        device = self.llm.head.weight.device
        tokens, _ = padded([row for row, _ in packed], device)  # (B, T)
        nodes, _ = padded([row for _, row in packed], device)  # (B, T)
        states = self.llm(input_ids=tokens[:, :-1], use_cache=False).last_hidden_state
        loss = self._choice_loss(states, nodes[:, 1:], tokens[:, 1:])
        return loss / (nodes == _ROOT).sum().clamp(min=1)

    def _choice_loss(self, states: Tensor, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Return the sum of -log P(token) over the positions (B, T) with a choice: `nodes` > 0."""
        chosen = nodes > 0
        states, tokens, nodes = states[chosen], tokens[chosen], nodes[chosen] - 1  # (P, d), (P,)
        if self.over == "vocabulary":
            return cross_entropy(self.llm.head(states), tokens, reduction="sum")
        first = nodes == 0  # the root has hundreds of children, the others few
        trie = self.trie.to(states.device)
        groups = [group for group in (first, ~first) if group.any()]
        return sum(
            (
                self._loss_among_children(trie, states[group], nodes[group], tokens[group])
                for group in groups
            ),
            states[:0].sum(),  # 0, with gradients even if no position has a choice
        )

    def _loss_among_children(
        self, trie: ItemTrie, states: Tensor, nodes: Tensor, tokens: Tensor
    ) -> Tensor:
        """Return the sum of -log P(token | node) over P positions, from the children's logits."""
        node, node_index = nodes.unique(return_inverse=True)  # (M,), (P,)
        child, exists = trie.children(node)  # (M, C)
        token, at = trie.token[child].clamp(min=0).unique(return_inverse=True)  # (K,), (M, C)
        logits = states @ self.llm.head.weight[token].T  # (P, K)
        chosen = logits.gather(1, torch.searchsorted(token, tokens)[:, None])[:, 0]
        among = logits.gather(1, at[node_index]).masked_fill(
            ~exists[node_index], -torch.inf
        )  # (P, C)
        return (among.logsumexp(1) - chosen).sum()

    def _pack(self, items: list[int]) -> tuple[Tokens, list[int]]:
        """The prompt and the titles of the last of `items` that fit, in one sequence. The second
        list has, for each token, 1 + the trie node at which it is chosen; 0 without a choice."""
        start, length = len(items), len(self.prompt)
        while start and length + len(self.titles[items[start - 1]]) <= self.budget:
            start -= 1
            length += len(self.titles[items[start]])
        tokens, nodes = [*self.prompt], [0] * len(self.prompt)
        for index, item in enumerate(items[start:]):
            tokens += self.titles[item]
            nodes += self.choices[item] if index else [0] * len(self.titles[item])
        return tokens, nodes

    def prompts_of(self, users: np.ndarray, items: np.ndarray) -> list[Tokens]:
        """The prompt and the titles of each row of `items` (B, L); users are not named."""
        return [self._pack([item for item in row if item])[0] for row in items.tolist()]


def _choices(trie: ItemTrie, lengths: list[int], over: str) -> list[list[int]]:
    """For each token of each item's title, 1 + the trie node at which it is chosen; 0 for a token
    without an alternative, which has probability 1 over the catalogue."""
    rows = []
    for node, length in zip(trie.leaf.tolist(), lengths):
        path: list[int] = []
        while node:
            node = int(trie.parent[node])
            path.append(node)
        chosen = [
            1 + at if at == 0 or over == "vocabulary" or trie.n_children[at] > 1 else 0
            for at in path[::-1]
        ]
        rows.append(chosen + [0] * (length - len(chosen)))
    return rows
