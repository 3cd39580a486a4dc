"""P5: one encoder–decoder that answers personalised prompts (Geng et al., RecSys 2022; OpenP5).

    "user_7 has interacted with ⟨3 17 208⟩ ⟨3 4 91⟩ . What comes next ?"  ──▶  ⟨3 17 95⟩

Tokens: words, then the id tokens that items' codes are made of, then one token for each user. The
model is transformers' T5, from scratch or pretrained by name; the run record says which.

One thing differs from the paper. A prompt is expensive to read and an answer cheap to write, so in
training each prompt is answered with every one of the next `targets_per_prompt` items, one by one,
the j-th with weight 1/j; with 1 it is P5's own objective. Nothing differs in evaluation: the score
of an item is the log-probability of its code as the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import stable_order
from llm4rec_recbole.decoding.scores import catalogue_scores, check_decoding
from llm4rec_recbole.decoding.t5 import T5TreeDecoder
from llm4rec_recbole.decoding.tree_decoder import padded
from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError, whole_number
from llm4rec_recbole.models.p5.item_ids import item_codes
from llm4rec_recbole.models.p5.prompts import FAMILIES, Texts, Words, fill, parse
from llm4rec_recbole.models.p5.t5 import load_t5
from llm4rec_recbole.training.losses import full_cross_entropy

_USERS_AT_ONCE = 128  # in evaluation: bounds the states that are held
Tokens = list[int]


class P5(SequentialRecommender):
    """Options in properties/model/P5.yaml. Raises InputError for values that do not exist."""

    batches = "prompt"  # training/batches.py
    schedule = "warmup_cosine"  # training/trainer.py

    input_type = InputType.POINTWISE  # no negatives
    steps: torch.Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # ScheduledTrainer's
        self.texts = Texts(config, dataset)
        self.families = _families(config["task_weights"], self.texts)
        self.decoding = check_decoding(config["decoding"])
        self.beam_width = whole_number("beam_width", config["beam_width"])
        self.evaluated = _evaluated(config["evaluation_family"], config["evaluation_prompt"])

        inter = dataset.inter_feat
        users = inter[self.USER_ID].numpy()
        # By raw token: held-out rows have a part in how RecBole numbers users.
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
        self.decoder = T5TreeDecoder(self.t5)
        self.parts = {
            name: [
                parse(text, self.words) for text in (*FAMILIES[name].seen, FAMILIES[name].unseen)
            ]
            for name in FAMILIES
        }

    def calculate_loss(self, interaction: Any) -> torch.Tensor:
        """The mean cross-entropy of the answers' tokens, summed over the families drawn."""
        self.steps += self.training
        users = interaction[self.USER_ID].tolist()
        histories = self._histories(interaction[self.ITEM_SEQ])
        items = interaction[self.ITEM_ID].view(len(users), -1).tolist()  # (B, n), 0 for none
        loss = torch.zeros((), device=self.t5.device)
        for family in self._drawn():
            template = int(torch.randint(len(FAMILIES[family].seen), ()))
            if family in ("sequential", "direct"):
                prompts = self._prompts(family, template, users, histories)
                answers = [[self.codes[item] for item in row if item] for row in items]
            elif "row" in interaction:  # not among RecBole's own rows, under `protocol: recbole`
                texts = [self.texts.of(family, row) for row in interaction["row"][:, 0].tolist()]
                answered = [row for row, text in enumerate(texts) if text]
                if not answered:
                    continue
                about = [self.codes[items[row][0]] for row in answered]
                prompts = self._prompts(family, template, [users[row] for row in answered], about)
                answers = [[self._text_tokens(texts[row])] for row in answered]
            else:
                continue
            loss = loss + self._answer_loss(prompts, answers)
        return loss

    def _drawn(self) -> list[str]:
        """The families that train on this batch, each with its probability; never none."""
        draws = torch.rand(len(self.families)).tolist()
        drawn = [name for name, draw in zip(self.families, draws) if draw < self.families[name]]
        return drawn or [max(self.families, key=lambda name: self.families[name])]

    def _answer_loss(self, prompts: list[Tokens], answers: list[list[Tokens]]) -> torch.Tensor:
        """Mean cross-entropy of each prompt's answers, the j-th weighing 1/j, token by token.

        A prompt's answers are chains side by side below it:  prompt ─┬─▶ a₁ ▶ a₂
                                                                      └─▶ b₁ ▶ b₂
        """
        most = max(len(row) for row in answers)
        flat = [tokens for row in answers for tokens in (*row, *[[]] * (most - len(row)))]
        tokens, known = padded(flat, self.t5.device)  # (B * n, A)
        length = tokens.shape[1]
        tokens, known = tokens.view(-1, most, length), known.view(-1, most, length)
        memory, first = self.decoder.read(*padded(prompts, self.t5.device))
        states = first[:, None, None].expand(-1, most, 1, -1)  # (B, n, 1, d)
        if length > 1:
            chain = torch.ones(length - 1, length - 1, dtype=torch.bool, device=first.device).tril()
            sees = torch.block_diag(*[chain] * most).bool()[None]
            depth = torch.arange(1, length, device=first.device).repeat(most)
            later = self.decoder.grow(memory, tokens[..., :-1].flatten(1), depth, sees, store=False)
            states = torch.cat([states, later.unflatten(1, (most, length - 1))], 2)
        weight = 1 / torch.arange(1, most + 1, device=first.device)  # (n,)
        weight = weight[:, None].expand_as(known)[known]
        return full_cross_entropy(states[known], self.decoder.output, tokens[known], of_rows=weight)

    def _histories(self, item_seq: torch.Tensor) -> list[Tokens]:
        """The codes of each row's items (B, L), one after another."""
        return [[t for item in row for t in self.codes[item]] for row in item_seq.tolist()]

    def _prompts(
        self, family: str, template: int, users: list[int], items: list[Tokens]
    ) -> list[Tokens]:
        """The prompts of `users`; `items` is what {history} or {item} stands for."""
        parts = self.parts[family][template]
        return [
            fill(parts, user=[self.first_user + user], history=tokens, item=tokens)
            for user, tokens in zip(users, items)
        ]

    def _text_tokens(self, text: str) -> Tokens:
        return [*self.words.encode(text), self.words.end]

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32: log-probabilities of all items' codes as the answer."""
        items, _ = held_out.last(rows, self.max_seq_length)
        return self._scores(held_out.users[rows], items, held_out.seen_mask(rows)).numpy()

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """Scores (B, n_items), for RecBole's own evaluation; knows the items in the prompt only."""
        items = interaction[self.ITEM_SEQ].cpu()
        seen = torch.zeros(len(items), self.n_items, dtype=torch.bool).scatter_(1, items, True)
        scores = self._scores(interaction[self.USER_ID].cpu().numpy(), items.numpy(), seen.numpy())
        return scores.to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """Scores (B,) of the rows' own items."""
        return self.full_sort_predict(interaction).gather(1, interaction[self.ITEM_ID][:, None])[
            :, 0
        ]

    def _scores(self, users: np.ndarray, items: np.ndarray, seen: np.ndarray) -> torch.Tensor:
        device = self.t5.device
        trie = self.trie.to(device)
        scores = torch.zeros(len(users), self.n_items)
        for start in range(0, len(users), _USERS_AT_ONCE):
            few = slice(start, start + _USERS_AT_ONCE)
            histories = self._histories(torch.from_numpy(items[few]))
            prompts = self._prompts(*self.evaluated, users[few].tolist(), histories)
            scores[few, 1:] = catalogue_scores(
                self.decoder,
                *padded(prompts, device),
                trie,
                torch.from_numpy(seen[few, 1:]).to(device),
                self.decoding,
                self.beam_width,
            ).cpu()
        return scores

    @torch.no_grad()
    def write(
        self,
        family: str,
        users: list[int],
        items: list[int],
        prompt: str = "seen",
        most: int = 20,
    ) -> list[str]:
        """What the model answers about each user and item, word by word the most probable.

        family: rating or explanation; users, items: RecBole's ids; prompt: seen, or unseen for the
        template that never trained; most: tokens at most.
        """
        about = [self.codes[item] for item in items]
        prompts = self._prompts(family, template_of(family, prompt), users, about)
        memory, state = self.decoder.read(*padded(prompts, self.t5.device))
        of_words = self.decoder.output[: len(self.words)]
        words: list[torch.Tensor] = []
        for depth in range(1, most + 1):
            words.append((state @ of_words.T).argmax(1))  # (B,)
            sees = torch.ones(1, 1, depth, dtype=torch.bool, device=state.device)
            place = torch.tensor([depth], device=state.device)
            state = self.decoder.grow(memory, words[-1][:, None], place, sees, store=True)[:, 0]
        rows = torch.stack(words, 1).tolist()
        ends = [row.index(self.words.end) if self.words.end in row else most for row in rows]
        return [self.words.decode(row[:end]) for row, end in zip(rows, ends)]


def _families(shares: dict[str, float], texts: Texts) -> dict[str, float]:
    """The families to train, less those whose answers the data lack."""
    for name in shares:
        if name not in FAMILIES:
            raise InputError(f"P5 has no family {name!r}", hint=f"one of {', '.join(FAMILIES)}")
    known = {name: share for name, share in shares.items() if texts.has(name)}
    if not known:
        raise InputError("no family is left to train", hint="the data lack ratings and reviews")
    return known


def _evaluated(family: str, prompt: str) -> tuple[str, int]:
    """The family and the number of its template that items are ranked with."""
    if family not in ("sequential", "direct"):
        raise InputError(f"{family!r} ranks no items", hint="sequential or direct")
    if prompt not in ("seen", "unseen"):
        raise InputError(f"evaluation_prompt is {prompt!r}", hint="seen or unseen")
    return family, template_of(family, prompt)


def template_of(family: str, prompt: str) -> int:
    """The number of the family's template, of a prompt that is seen or unseen."""
    return {"seen": 0, "unseen": len(FAMILIES[family].seen)}[prompt]
