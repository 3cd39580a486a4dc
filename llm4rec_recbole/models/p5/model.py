"""P5: an encoder–decoder that answers personalised prompts (Geng et al., RecSys 2022; OpenP5).

    "user_7 has interacted with ⟨3 17 208⟩ ⟨3 4 91⟩ . What comes next ?"  ──▶  ⟨3 17 95⟩

The tokens are words, then the id tokens of item codes, then one token for each user. The model is
transformers' T5, from scratch or pretrained; the run record names it.

Training differs from the paper in one point. Reading a prompt is expensive and an answer is cheap,
so a prompt has several answers: each of the next `targets_per_prompt` items. The j-th has weight
1/j. One target is P5's own objective. Evaluation follows the paper: an item's score is the
log-probability of its code as the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from torch import Tensor

from llm4rec_recbole.data.exact_order import stable_order
from llm4rec_recbole.decoding.tree_decoder import T5TreeDecoder, padded
from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.generative import GenerativeRecommender, Tokens
from llm4rec_recbole.models.p5.item_ids import item_codes
from llm4rec_recbole.models.p5.prompts import (
    FAMILIES,
    TEMPLATES,
    Texts,
    Words,
    fill,
    load_t5,
    parse,
)
from llm4rec_recbole.training.losses import full_cross_entropy


class P5(GenerativeRecommender, SequentialRecommender):
    """Raises InputError for combinations of options that cannot be trained."""

    batches = "prompt"  # training/batches.py
    eval_users = 128

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.texts = Texts(config, dataset)
        self.families = _families(config["task_weights"], self.texts)
        self.evaluated = config["evaluation_family"], TEMPLATES[config["evaluation_prompt"]]

        inter = dataset.inter_feat
        users = inter[self.USER_ID].numpy()
        # Sort by raw token: RecBole's numbering of users depends on held-out rows.
        names = np.asarray(dataset.field2id_token[self.USER_ID], dtype=str)
        by_name = stable_order(names.argsort().argsort()[users])
        codes = item_codes(
            config["item_indexing"],
            users[by_name],
            inter[self.ITEM_ID].numpy()[by_name] - 1,
            list(dataset.field2id_token[self.ITEM_ID][1:]),
            config["id_clusters"],
            config["max_cluster_items"],
            config["id_tokens"],
            config["seed"],
        )
        n_id_tokens = 1 + max(max(code) for code in codes)
        self.t5, self.words = load_t5(
            config, lambda: Words(self.texts.all()), n_id_tokens + dataset.num(self.USER_ID)
        )
        self.pretrained = self.words.name or "scratch"
        first = len(self.words)
        self.codes: list[Tokens] = [[], *([first + t for t in code] for code in codes)]
        self.first_user = first + n_id_tokens
        self.trie = ItemTrie.build(self.codes[1:])
        # Users are named in prompts only, so no answer chooses among their tokens.
        self.decoder = T5TreeDecoder(self.t5, n_output=self.first_user)
        self.parts = {
            name: [parse(template, self.words) for template in templates]
            for name, templates in FAMILIES.items()
        }

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the mean cross-entropy of the answers' tokens, summed over the drawn families."""
        users = interaction[self.USER_ID].tolist()
        histories = self._histories(interaction[self.ITEM_SEQ])
        items = interaction[self.ITEM_ID].view(len(users), -1).tolist()  # (B, n), 0 for none
        loss = torch.zeros((), device=self.t5.device)
        for family in self._draw_families():
            template = int(torch.randint(TEMPLATES["unseen"], ()))
            if family in ("sequential", "direct"):
                prompts = self._prompts(family, template, users, histories)
                answers = [[self.codes[item] for item in row if item] for row in items]
            elif "row" in interaction:  # missing under `protocol: recbole`
                texts = [self.texts.of(family, row) for row in interaction["row"][:, 0].tolist()]
                answered = [row for row, text in enumerate(texts) if text]
                if not answered:
                    continue
                answered_items = [self.codes[items[row][0]] for row in answered]
                prompts = self._prompts(
                    family, template, [users[row] for row in answered], answered_items
                )
                answers = [[[*self.words.encode(texts[row]), self.words.end]] for row in answered]
            else:
                continue
            loss = loss + self._answer_loss(prompts, answers)
        return loss

    def _draw_families(self) -> list[str]:
        """Draw the families of this batch, each with its probability; at least one."""
        draws = torch.rand(len(self.families)).tolist()
        drawn = [name for name, draw in zip(self.families, draws) if draw < self.families[name]]
        return drawn or [max(self.families, key=lambda name: self.families[name])]

    def _answer_loss(self, prompts: list[Tokens], answers: list[list[Tokens]]) -> Tensor:
        """Return the mean cross-entropy of all answers' tokens; the j-th answer has weight 1/j.

        The answers of a prompt are chains below it:  prompt ─┬─▶ a₁ ▶ a₂
                                                              └─▶ b₁ ▶ b₂
        """
        n_answers = max(len(row) for row in answers)
        flat = [tokens for row in answers for tokens in (*row, *[[]] * (n_answers - len(row)))]
        tokens, exists = padded(flat, self.t5.device)  # (B * n, A)
        length = tokens.shape[1]
        tokens, exists = tokens.view(-1, n_answers, length), exists.view(-1, n_answers, length)
        memory, first = self.decoder.read(*padded(prompts, self.t5.device))
        states = first[:, None, None].expand(-1, n_answers, 1, -1)  # (B, n, 1, d)
        if length > 1:
            chain = torch.ones(length - 1, length - 1, dtype=torch.bool, device=first.device).tril()
            sees = torch.block_diag(*[chain] * n_answers).bool()[None]
            depth = torch.arange(1, length, device=first.device).repeat(n_answers)
            later = self.decoder.grow(memory, tokens[..., :-1].flatten(1), depth, sees, store=False)
            states = torch.cat([states, later.unflatten(1, (n_answers, length - 1))], 2)
        weight = 1 / torch.arange(1, n_answers + 1, device=first.device)  # (n,)
        weight = weight[:, None].expand_as(exists)[exists]
        return full_cross_entropy(
            states[exists], self.decoder.output, tokens[exists], row_weights=weight
        )

    def _histories(self, item_seq: Tensor) -> list[Tokens]:
        """Return the concatenated codes of each row's items (B, L)."""
        return [[t for item in row for t in self.codes[item]] for row in item_seq.tolist()]

    def _prompts(
        self, family: str, template: int, users: list[int], items: list[Tokens]
    ) -> list[Tokens]:
        """Return the prompts of `users`; `items` are the tokens of {history} or {item}."""
        parts = self.parts[family][template]
        return [
            fill(parts, user=[self.first_user + user], history=tokens, item=tokens)
            for user, tokens in zip(users, items)
        ]

    def prompts_of(self, users: np.ndarray, items: np.ndarray) -> list[Tokens]:
        """The prompts of the evaluation for users (B,) with the histories `items` (B, L)."""
        histories = self._histories(torch.from_numpy(items))
        return self._prompts(*self.evaluated, users.tolist(), histories)


def _families(shares: dict[str, float], texts: Texts) -> dict[str, float]:
    """Return the families of `shares` to train: the data have answers for them."""
    for name in shares:
        if name not in FAMILIES:
            raise InputError(f"P5 has no family {name!r}", hint=f"one of {', '.join(FAMILIES)}")
    trainable = {name: share for name, share in shares.items() if texts.has(name)}
    if not trainable:
        raise InputError(
            "the data have no answers for any family of task_weights",
            hint="add sequential or direct",
        )
    return trainable
