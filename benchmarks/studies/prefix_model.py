"""Soft tokens before the words of a frozen language model, for the study of prefix_writer.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache

from llm4rec_recbole.components.explanation.evidence import Evidence, clauses_of
from llm4rec_recbole.components.explanation.writer import first_sentences, opening_of, prompt_of
from llm4rec_recbole.inference import recommend as inference

TOKENS = 6  # soft tokens: two for each of h_u, h_i and c_t
BATCH, RATE = 2, 0.01
MAX_NEW_TOKENS = 48  # as GreedyWriter


@dataclass(frozen=True, eq=False)
class Example:
    """An item to explain to a user."""

    evidence: Evidence
    vectors: np.ndarray  # (3, d): h_u, h_i, c_t
    prompts: tuple[str, str]  # without and with the facts
    opening: str
    target: str  # the true continuation of the opening

    @classmethod
    def of(cls, evidence: Evidence, vectors: np.ndarray) -> Example:
        clauses = clauses_of(evidence)
        facts = prompt_of(evidence)
        first, _, rest = facts.partition("\n")
        without = f"{first}\n{rest[rest.rindex('In one short sentence') :]}"
        opening = opening_of(evidence, (clauses[0],)) if clauses else evidence.name
        target = f" {clauses[1].text}." if len(clauses) > 1 else " is recommended."
        return cls(evidence, vectors, (without, facts), opening, target)


class Prefix(nn.Module):
    """Soft tokens (B, TOKENS, width) of vectors (B, 3, d), each of which is scaled to length √d."""

    def __init__(self, d: int, width: int, scale: float, reads_vectors: bool) -> None:
        """scale: the standard deviation of the word embeddings."""
        super().__init__()
        self.map = nn.Linear(3 * d, TOKENS * width)
        nn.init.normal_(self.map.weight, std=scale / (3 * d) ** 0.5)
        nn.init.normal_(self.map.bias, std=scale)
        self.reads_vectors = reads_vectors

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        norm = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        flat = (vectors / norm * vectors.shape[-1] ** 0.5).flatten(1)  # (B, 3 d)
        return self.map(flat * self.reads_vectors).unflatten(1, (TOKENS, -1))


class Language:
    """The frozen language model over words, a prefix, and the words of the opening."""

    def __init__(self, name: str) -> None:
        writer: Any = inference.load_writer(name)
        self.model, self.tokenizer = writer.model.requires_grad_(False), writer.tokenizer
        self.embed = self.model.get_input_embeddings()
        self.width = self.embed.weight.shape[1]
        self.scale = float(self.embed.weight.float().std())
        self._caches: dict[tuple[int, bool], list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def chat(self, prompt: str) -> list[int]:
        """The tokens of the prompt, as GreedyWriter makes them."""
        message = [{"role": "user", "content": prompt}]
        text = self.tokenizer.apply_chat_template(
            message, tokenize=False, add_generation_prompt=True
        )
        return self.tokens(text)

    def loss(
        self, example: Example, facts: bool, prefix: torch.Tensor | None
    ) -> tuple[torch.Tensor, int]:
        """−log P of all tokens of the target, summed, and their number. prefix: (TOKENS, width).

        The prompt comes first and needs no gradient, so its keys and values are computed once.
        """
        key = (id(example), facts)
        if key not in self._caches:
            chat = torch.tensor([self.chat(example.prompts[facts])])
            with torch.no_grad():
                cache = self.model.model(chat, use_cache=True).past_key_values
            layers = [(layer.keys, layer.values) for layer in cache.layers]
            self._caches[key] = layers
        layers = self._caches[key]
        cache = DynamicCache()
        for number, (keys, values) in enumerate(layers):
            cache.update(keys, values, number)
        opening, target = self.tokens(example.opening), self.tokens(example.target)
        words = self.embed(torch.tensor(opening + target))  # (T, width)
        if prefix is not None:
            words = torch.cat([prefix.to(words.dtype), words])
        output = self.model.model(inputs_embeds=words[None], past_key_values=cache, use_cache=True)
        states = output.last_hidden_state[0, -len(target) - 1 : -1]
        logits = self.model.lm_head(states).float()  # (N, words)
        wanted = torch.tensor(target)
        return nn.functional.cross_entropy(logits, wanted, reduction="sum"), len(target)

    @torch.inference_mode()
    def continuations(
        self, examples: Sequence[Example], facts: bool, prefixes: torch.Tensor | None
    ) -> list[str]:
        """The most probable continuation of each opening, to the end of its first sentence.

        prefixes: (B, TOKENS, width).
        """
        rows = []
        for number, example in enumerate(examples):
            parts = [self.embed(torch.tensor(self.chat(example.prompts[facts])))]
            if prefixes is not None:
                parts.append(prefixes[number].to(parts[0].dtype))
            parts.append(self.embed(torch.tensor(self.tokens(example.opening))))
            rows.append(torch.cat(parts))
        length = max(map(len, rows))
        values = torch.zeros(len(rows), length, self.width, dtype=self.embed.weight.dtype)
        mask = torch.zeros(len(rows), length, dtype=torch.int64)
        for number, row in enumerate(rows):  # padded on the left
            values[number, length - len(row) :], mask[number, length - len(row) :] = row, 1
        written = self.model.generate(
            inputs_embeds=values,
            attention_mask=mask,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            pad_token_id=self.tokenizer.eos_token_id,
        )
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [first_sentences(text, 1) or text for text in texts]


def train_prefix(
    language: Language, examples: Sequence[Example], facts: bool, reads_vectors: bool, passes: int
) -> Prefix:
    """The prefix with the lowest −log P of the examples' targets that AdamW finds."""
    torch.manual_seed(0)
    d = examples[0].vectors.shape[1]
    prefix = Prefix(d, language.width, language.scale, reads_vectors)
    optimizer = torch.optim.AdamW(prefix.parameters(), lr=RATE, weight_decay=0.0)
    draw = np.random.default_rng(0)
    order = np.concatenate([draw.permutation(len(examples)) for _ in range(passes)])
    batches = np.array_split(order, len(order) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, len(batches))
    for step, batch in enumerate(batches):
        total, words = 0.0, 0
        optimizer.zero_grad()
        for example in (examples[number] for number in batch):
            soft = prefix(torch.from_numpy(example.vectors)[None].float())[0]
            loss, count = language.loss(example, facts, soft)
            (loss / count / len(batch)).backward()
            total, words = total + float(loss.detach()), words + count
        nn.utils.clip_grad_norm_(prefix.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            print(f"  step {step} of {len(batches)}: loss {total / words:.3f}", flush=True)
    return prefix.eval()
