"""The language model of GenRec: LoRA on a causal model, restricted to the tokens of titles.

The titles of a catalogue use a few thousand of fifty thousand tokens. The input and output
embeddings have only their rows, so a softmax over the vocabulary is over tokens that can occur.

Some models scale their embeddings or logits outside their layers. So one test at loading compares
the logits computed here with the model's own.

Each item has a title of its own:

- An item without a title, or with one that has no tokens, is named "item <raw token>".
- A title is cut to `max_tokens` tokens.
- Items with equal tokens get a suffix: first the year, " (1995)"; then the raw token, " #242"; then
  the item's number, " #7". A long title is cut further to make room for the suffix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicFormat
from llm4rec_recbole.data.features import read_items
from llm4rec_recbole.decoding.tree_decoder import CausalTreeDecoder, padded
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.load import add_lora, decoder_of, load_language_model
from llm4rec_recbole.models.generative import Tokens

# Largest difference to the model's own logits, in their standard deviations. SmolLM2's 30 layers
# differ by 1e-6 and .02.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05}


class TitleModel(nn.Module):
    """States of tokens, and their logits: `head` is linear, without bias, float32, and trainable.

    name, layers: as in load_language_model; rank: of LoRA, 0 to train all weights; dtype: of the
    layers' computation. Call `restrict_vocabulary` once before use. Raises InputError for a model
    whose own logits differ from those here.
    """

    def __init__(self, name: str, layers: int | None, rank: int, dtype: torch.dtype) -> None:
        super().__init__()
        model, self.tokenizer = load_language_model(name, layers, dtype if rank else torch.float32)
        self.dtype = dtype
        self.body = decoder_of(model, name)
        self.context = _context(self.body.config)
        output = model.get_output_embeddings().weight
        self.head = nn.Linear(output.shape[1], output.shape[0], bias=False)
        self.head.weight = nn.Parameter(output.detach().float().clone())
        self.decoder = CausalTreeDecoder(self, self.head)
        self._check_logits(model, name)
        if rank:
            add_lora(self.body, rank)
        if layers is not None:  # norm and head were trained for the last layer's states:
            nn.init.ones_(self.body.norm.weight)
            self.head.weight.data *= 0.1  # start with little confidence
        self.train()

    def train(self, mode: bool = True) -> TitleModel:
        """As nn.Module.train. On a CPU, the backward pass of fused attention is slow."""
        slow = mode and self.head.weight.device.type == "cpu"
        self.body.set_attn_implementation("eager" if slow else "sdpa")
        return super().train(mode)

    def restrict_vocabulary(self, tokens: list[int]) -> None:
        """Restrict the vocabulary to `tokens` of the tokenizer, numbered in this order."""
        selected = torch.tensor(tokens)
        old = self.body.get_input_embeddings().weight
        rows = nn.Embedding(len(tokens), old.shape[1], dtype=old.dtype)
        rows.weight = nn.Parameter(old.detach()[selected].clone(), requires_grad=old.requires_grad)
        self.body.set_input_embeddings(rows)
        self.head.weight = nn.Parameter(self.head.weight.detach()[selected].clone())
        self.head.out_features = len(tokens)

    @torch.no_grad()
    def _check_logits(self, model: Any, name: str) -> None:
        """Raise InputError unless trees of a few tokens get the logits of the whole `model`.
        Nothing is changed, random numbers included."""
        embeddings, head = self.body.get_input_embeddings(), self.head.weight
        selected = torch.linspace(0, len(head) - 1, 11).long()  # numbered 0 to 10:
        prompts = [[0, 1, 2, 3, 4], [5, 6, 7]]
        branches = [[8, 9], [10]]  # ─┬─▶ 8 ▶ 9
        sees = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]).bool()  # └─▶ 10
        try:
            model.set_attn_implementation("eager")
            exact = []  # (4, 11) for each prompt
            for prompt in prompts:
                long, short = (
                    model(input_ids=selected[torch.tensor([prompt + branch])]).logits[0]
                    for branch in branches
                )
                exact.append(torch.cat([long[-3:], short[-1:]])[:, selected].float())
            self.eval()
            with torch.random.fork_rng(devices=[]):  # new embeddings draw from it
                self.restrict_vocabulary(selected.tolist())
            tokens, depth = torch.tensor([[8, 9, 10]]).expand(2, -1), torch.tensor([1, 2, 1])
            memory, first = self.decoder.read(*padded(prompts, "cpu"))
            later = self.decoder.grow(memory, tokens, depth, sees[None], store=True)
            logits = self.head(torch.cat([first[:, None], later], 1))  # (2, 4, 11)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
        else:
            scale, off = (
                torch.stack(exact).std(),
                (logits - torch.stack(exact)).square().mean().sqrt(),
            )
            reason = "" if off <= _TOLERANCE[self.dtype] * scale else "its logits differ"
        finally:
            self.body.set_input_embeddings(embeddings)
            self.head.weight, self.head.out_features = head, len(head)
        if _caps(self.body.config):  # with small logits the test hardly sees it
            reason = "its logits are capped"
        if reason:
            raise InputError(
                f"{name} is a {type(model).__name__}, which GenRec cannot read exactly: {reason}",
                hint="a model with the structure of Llama: SmolLM2, Qwen, Mistral, …",
            )

    def forward(self, **inputs: Any) -> Any:
        """Called as transformers' own models; the last states (B, T, d) are float32."""
        device, mask = self.head.weight.device.type, inputs.get("attention_mask")
        if mask is not None and mask.is_floating_point():  # it must be of the queries' type
            inputs["attention_mask"] = mask.to(self.dtype)
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            out = self.body(**inputs)
        out.last_hidden_state = out.last_hidden_state.float()
        return out


def _context(config: Any) -> int:
    """Return how many tokens a position attends to: all, or those in a sliding window."""
    positions = getattr(config, "max_position_embeddings", 1 << 30)
    slides = getattr(
        config, "use_sliding_window", True
    )  # Qwen may define a window without using it
    window = getattr(config, "sliding_window", None) if slides else None
    chunk = getattr(config, "attention_chunk_size", None)
    return min(size for size in (positions, window, chunk) if size)


def _caps(config: Any) -> bool:
    """Return whether a tanh bounds the logits of tokens or of attention, as in Gemma 2."""
    names = ("final_logit_softcapping", "attn_logit_softcapping")
    return any(getattr(config, name, None) for name in names)


def end_of_title(tokenizer: Any, name: str) -> int:
    """The token that ends a title: a new line, or the tokenizer's end of text. Raises InputError
    when the tokenizer has neither."""
    line = tokenizer.encode("\n", add_special_tokens=False)
    if len(line) == 1 and line[0] != tokenizer.unk_token_id:
        return line[0]
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {name!r} has neither a new line nor an end of text")
    return tokenizer.eos_token_id


def titles_of(
    path: str | Path, names: Sequence[str], file_format: AtomicFormat = DEFAULT_FORMAT
) -> tuple[list[str], list[str]]:
    """Titles and years of the items with raw tokens `names`, "" where unknown. path: the data set's
    `.item` file; may be missing."""
    table = read_items(path, file_format).set_index("item_id").reindex(list(names))
    years = table["year"].astype("Int64").astype("string").fillna("")
    return table["title"].fillna("").tolist(), years.tolist()


def unique_title_tokens(
    titles: Sequence[str],
    years: Sequence[str],
    names: Sequence[str],
    tokenize: Callable[[str], Tokens],
    max_tokens: int,
) -> list[Tokens]:
    """Each item's tokens, at most `max_tokens` unless the suffix itself is longer. Raises
    InputError if two items have equal tokens even with a suffix: digits have no tokens."""

    def tokens_of(text: str, suffix: str = "") -> Tokens:
        ending = tokenize(suffix) if suffix else []
        return [*tokenize(" ".join(text.split()))[: max(1, max_tokens - len(ending))], *ending]

    texts = [
        title if title.strip() and tokenize(" ".join(title.split())) else f"item {name}"
        for title, name in zip(titles, names)
    ]
    sequences = [tokens_of(text) for text in texts]
    for item in _duplicates(sequences):
        if years[item]:
            sequences[item] = tokens_of(texts[item], f" ({years[item]})")
    for n_numbers in range(len(sequences) + 2):  # each pass makes at most one new pair equal
        equal = _duplicates(sequences)
        if not equal:
            return sequences
        for item in equal:
            suffix = f" #{names[item]}" + f" #{item}" * n_numbers
            sequences[item] = tokens_of(texts[item], suffix)
    first, second = (names[item] for item in equal[:2])
    raise InputError(f"the titles of items {first} and {second} have the same tokens")


def _duplicates(sequences: Sequence[Tokens]) -> list[int]:
    """Return the items that have the same tokens as another item."""
    count = Counter(map(tuple, sequences))
    return [item for item, tokens in enumerate(sequences) if count[tuple(tokens)] > 1]
