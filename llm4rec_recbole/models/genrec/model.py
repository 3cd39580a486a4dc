"""GenRec: a language model reads a user's titles and writes the next one (arXiv 2307.00457).

    What one user chose, one after another: ⏎ Toy Story ⏎ GoldenEye ⏎ Four Rooms ⏎  ──▶  Get Shorty

Training packs a whole window of history into one sequence, and every title in it is a target; the
paper has a prompt for each. An item's score is the log-probability of its title, in one of two
senses, with which the model is trained, too (option `softmax_over`):

    catalogue    at each token the softmax is over the tokens with which a title can go on: a
                 distribution over items. What tells a title from all others counts; the rest of
                 it is forced, and needs no pass through the model.
    vocabulary   the softmax is over all tokens that titles use, as a language model's is.

Both are exact. The catalogue sense is the default: it makes scores of all items affordable.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch.nn.functional import cross_entropy

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.decoding.exhaustive import OVER
from llm4rec_recbole.decoding.scores import catalogue_scores, check_decoding
from llm4rec_recbole.decoding.tree_decoder import padded
from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.errors import InputError, whole_number
from llm4rec_recbole.language_models.backbone import compute_dtype
from llm4rec_recbole.models.genrec.title_model import TitleModel, end_of_title
from llm4rec_recbole.models.genrec.titles import Tokens, titles_of, unique_title_tokens

_ROOT = 1  # 1 + the number of the trie's root, where every title begins
_USERS_AT_ONCE = 16  # in evaluation: bounds the states that are held


class GenRec(SequentialRecommender):
    """Options in properties/model/GenRec.yaml. Raises InputError for values that do not exist."""

    batches = "causal"  # training/batches.py
    schedule = "warmup_cosine"  # training/trainer.py

    input_type = InputType.POINTWISE  # no negatives
    steps: torch.Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # ScheduledTrainer's
        self.pretrained: str = config["llm"]
        self.decoding = check_decoding(config["decoding"])
        self.beam_width = whole_number("beam_width", config["beam_width"])
        self.over: str = config["softmax_over"]
        if self.over not in OVER:
            raise InputError(f"softmax_over is {self.over!r}", hint=f"one of {', '.join(OVER)}")
        if self.decoding == "unconstrained" and self.over == "catalogue":
            message = "unconstrained decoding needs a model trained to write whole titles"
            raise InputError(message, hint="--softmax_over=vocabulary")
        self.llm = TitleModel(
            config["llm"],
            config["llm_layers"],
            whole_number("lora_rank", config["lora_rank"], least=0),
            compute_dtype(config["llm_dtype"], config["device"].type),
        )
        names = list(dataset.field2id_token[self.ITEM_ID][1:])
        files = DatasetFiles.of(config)
        titles, years = titles_of(files.path("item"), names, files.file_format)
        prompt = self._read_titles(titles, years, names, config)

        self.budget = min(
            whole_number("max_prompt_tokens", config["max_prompt_tokens"]),
            self.llm.context - self.trie.max_depth,
        )
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
        """Make titles and trie in the tokens that they use, 0 being the end; return the prompt."""
        tokenizer = self.llm.tokenizer
        end = end_of_title(tokenizer, config["llm"])

        def tokenize(text: str) -> Tokens:
            ids = tokenizer.encode(text, add_special_tokens=False)
            return [token for token in ids if token != end]

        most = whole_number("max_title_tokens", config["max_title_tokens"])
        spelt = unique_title_tokens(titles, years, names, tokenize, most)
        prompt = tokenize(config["prompt"])
        used = [end, *sorted({token for tokens in (*spelt, prompt) for token in tokens} - {end})]
        number = {token: place for place, token in enumerate(used)}
        self.llm.restrict_vocabulary(used)
        spelt = [[number[token] for token in tokens] for tokens in spelt]
        whole = ItemTrie.build(spelt, end=0)
        self.trie = whole.shortest() if self.over == "catalogue" else whole
        self.end = None if self.over == "catalogue" else 0
        self.titles: list[Tokens] = [[], *([*tokens, 0] for tokens in spelt)]
        lengths = [len(tokens) for tokens in self.titles[1:]]
        self.choices = [[], *_choices(self.trie, lengths, self.over)]
        return [*(number[token] for token in prompt), 0]

    def calculate_loss(self, interaction: Any) -> torch.Tensor:
        """Mean over the windows' next items of -log P(title | titles before)."""
        self.steps += self.training
        sequences, later = interaction[self.ITEM_SEQ], interaction[self.ITEM_ID]
        if later.dim() == 1:  # RecBole's own rows, under `protocol: recbole`
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

    def _choice_loss(
        self, states: torch.Tensor, nodes: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """The sum of -log P(token) over the places (B, T) where `nodes` > 0 leave a choice."""
        chosen = nodes > 0
        states, tokens, nodes = states[chosen], tokens[chosen], nodes[chosen] - 1  # (P, d), (P,)
        if self.over == "vocabulary":
            return cross_entropy(self.llm.head(states), tokens, reduction="sum")
        first = nodes == 0  # the root has hundreds of children, the others few
        trie = self.trie.to(states.device)
        groups = [some for some in (first, ~first) if some.any()]
        return sum(
            (
                self._among_children(trie, states[some], nodes[some], tokens[some])
                for some in groups
            ),
            states[:0].sum(),  # 0, from which gradients flow although nothing was chosen
        )

    def _among_children(
        self, trie: ItemTrie, states: torch.Tensor, nodes: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """The sum of -log P(token | node) over P places, from logits of children alone."""
        node, of_place = nodes.unique(return_inverse=True)  # (M,), (P,)
        child, exists = trie.children(node)  # (M, C)
        token, at = trie.token[child].clamp(min=0).unique(return_inverse=True)  # (K,), (M, C)
        logits = states @ self.llm.head.weight[token].T  # (P, K)
        own = logits.gather(1, torch.searchsorted(token, tokens)[:, None])[:, 0]
        among = logits.gather(1, at[of_place]).masked_fill(~exists[of_place], -torch.inf)  # (P, C)
        return (among.logsumexp(1) - own).sum()

    def _pack(self, items: list[int]) -> tuple[Tokens, list[int]]:
        """The prompt and the titles of `items` in one sequence, as many of the last as fit, and
        for each token 1 + the node of the trie at which it is chosen, 0 where nothing is."""
        start, length = len(items), len(self.prompt)
        while start and length + len(self.titles[items[start - 1]]) <= self.budget:
            start -= 1
            length += len(self.titles[items[start]])
        tokens, nodes = [*self.prompt], [0] * len(self.prompt)
        for place, item in enumerate(items[start:]):
            tokens += self.titles[item]
            nodes += self.choices[item] if place else [0] * len(self.titles[item])
        return tokens, nodes

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32: log-probabilities of all items' titles as the next one."""
        items, _ = held_out.last(rows, self.max_seq_length)
        return self._scores(items, held_out.seen_mask(rows)).numpy()

    def full_sort_predict(self, interaction: Any) -> torch.Tensor:
        """Scores (B, n_items), for RecBole's own evaluation; knows the items in the prompt only."""
        items = interaction[self.ITEM_SEQ].cpu()
        seen = torch.zeros(len(items), self.n_items, dtype=torch.bool).scatter_(1, items, True)
        return self._scores(items.numpy(), seen.numpy()).to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> torch.Tensor:
        """Scores (B,) of the rows' own items."""
        scores = self.full_sort_predict(interaction)
        return scores.gather(1, interaction[self.ITEM_ID][:, None])[:, 0]

    def _scores(self, items: np.ndarray, seen: np.ndarray) -> torch.Tensor:
        """Prompts of like length go together, so that little is padding."""
        device = self.llm.head.weight.device
        trie = self.trie.to(device)
        prompts = [self._pack([item for item in row if item])[0] for row in items.tolist()]
        by_length = np.argsort([len(prompt) for prompt in prompts], kind="stable")
        scores = torch.zeros(len(items), self.n_items)
        for start in range(0, len(items), _USERS_AT_ONCE):
            few = by_length[start : start + _USERS_AT_ONCE]
            scores[few, 1:] = catalogue_scores(
                self.llm.decoder,
                *padded([prompts[row] for row in few], device),
                trie,
                torch.from_numpy(seen[few, 1:]).to(device),
                self.decoding,
                self.beam_width,
                self.over,
                self.end,
            ).cpu()
        return scores


def _choices(trie: ItemTrie, lengths: list[int], over: str) -> list[list[int]]:
    """For each token of each item's title, 1 + the node at which it is chosen, 0 where it is forced
    and, over the catalogue, therefore costs nothing."""
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
