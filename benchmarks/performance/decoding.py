"""Our beam search against transformers' `generate`, in one run.

    python -m benchmarks.performance.decoding

Both find the same number of best items of ml-100k for the same users, with the same models, in
batches of the same size: P5's T5 over collaborative ids, GenRec's language model over titles.
`generate` gets `prefix_allowed_tokens_fn` over a dictionary of prefixes, as the published codes
do. Batches are as large as models/p5.py and models/genrec.py evaluate, or as --batch says.
Prints a Markdown report and writes decoding.json and decoding.md. Weights are those before
training: what decoding costs does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data import folder, interactions
from benchmarks.options import RESULTS
from llm4rec_recbole.data.splits import Log, leave_one_out
from llm4rec_recbole.decoding.beam import beam_search
from llm4rec_recbole.decoding.tree_decoder import (
    CausalTreeDecoder,
    T5TreeDecoder,
    TreeDecoder,
    padded,
)
from llm4rec_recbole.decoding.trie import ItemTrie
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.machine import hardware

GOAL = 10  # times the users per second
HISTORY = 20  # items in a prompt
END, PAD = 1, 0
Spelling = list[list[int]]
Found = tuple[list[list[int]], list[list[float]]]  # items and log-probabilities, best first


@dataclass(frozen=True)
class Data:
    """ml-100k's leave-one-out split; items from 0."""

    train_users: np.ndarray  # (N,)
    train_items: np.ndarray  # (N,)
    names: list[str]  # the items' raw tokens
    histories: Spelling  # each user's last HISTORY items before the test


def read_data(users: int) -> Data:
    """The data set in RecBole's wheel, with the first `users` test users' histories."""
    who, items, times = interactions()
    split = leave_one_out(Log(who, items, times))
    last, lengths = split.test.last(np.arange(users), HISTORY)
    return Data(
        who[split.train],
        items[split.train] - 1,
        [str(item) for item in range(1, items.max() + 1)],
        [[item - 1 for item in row[:n]] for row, n in zip(last.tolist(), lengths)],
    )


@dataclass(frozen=True)
class Subject:
    """A language model, the catalogue's tokens, and one prompt a user, oldest item first."""

    model: Any  # what transformers generates with
    decoder: TreeDecoder  # the same weights
    items: Spelling  # without the end token
    prompts: Spelling
    causal: bool
    batch: int  # users that the model ranks at once


def p5(data: Data) -> Subject:
    """A T5 of the size that properties/model/P5.yaml says, and collaborative ids."""
    from transformers import T5Config, T5ForConditionalGeneration

    from llm4rec_recbole.models.p5.item_ids import item_codes

    codes = item_codes("collaborative", data.train_users, data.train_items, data.names)
    token_rows = [[token + 2 for token in code] for code in codes]
    sizes = {"d_model": 64, "d_kv": 16, "num_heads": 4, "d_ff": 256, "num_layers": 2}
    n_tokens = 1 + max(max(code) for code in token_rows)
    config = T5Config(vocab_size=n_tokens, decoder_start_token_id=PAD, **sizes)
    model = T5ForConditionalGeneration(config).eval()
    prompts = [[token for item in row for token in token_rows[item]] for row in data.histories]
    return Subject(model, T5TreeDecoder(model), token_rows, prompts, causal=False, batch=128)


def genrec(data: Data, llm: str, layers: int | None) -> Subject:
    """The first `layers` layers of `llm`, and titles in the tokens that titles use."""
    from llm4rec_recbole.language_models.load import load_language_model
    from llm4rec_recbole.models.genrec.title_model import titles_of, unique_title_tokens

    model, tokenizer = load_language_model(llm, layers, torch.float32)
    titles, years = titles_of(folder() / "ml-100k.item", data.names)
    tokens = unique_title_tokens(
        titles, years, data.names, lambda text: tokenizer.encode(text, add_special_tokens=False), 12
    )
    line = tokenizer.encode("\n", add_special_tokens=False)[0]
    used = sorted({token for row in tokens for token in row})
    number = {token: place for place, token in enumerate(used, 2)}
    token_ids = torch.tensor([tokenizer.pad_token_id, line, *used])
    for old, put in (
        (model.get_input_embeddings(), model.set_input_embeddings),
        (model.get_output_embeddings(), model.set_output_embeddings),
    ):
        rows = torch.nn.Embedding(len(token_ids), model.config.hidden_size)
        head = torch.nn.Linear(model.config.hidden_size, len(token_ids), bias=False)
        new = rows if isinstance(old, torch.nn.Embedding) else head
        new.weight = torch.nn.Parameter(old.weight.detach()[token_ids])
        put(new)
    model.config.vocab_size = len(token_ids)
    token_rows = [[number[token] for token in row] for row in tokens]
    prompts = [
        [END, *(token for item in row for token in (*token_rows[item], END))]
        for row in data.histories
    ]
    decoder = CausalTreeDecoder(model.get_decoder(), model.get_output_embeddings())
    return Subject(model.eval(), decoder, token_rows, prompts, causal=True, batch=16)


def ours(subject: Subject, trie: ItemTrie, prompts: Spelling, width: int, device: str) -> Found:
    """Items and log-probabilities by beam_search."""
    beams = beam_search(subject.decoder, *padded(prompts, device), trie, width)
    return beams.items.tolist(), beams.scores.tolist()


def theirs(subject: Subject, prompts: Spelling, width: int, device: str, scores: bool) -> Found:
    """The same by `generate`; log-probabilities, which cost it time, only with `scores`."""
    allowed: dict[tuple[int, ...], list[int]] = {}
    number = {}
    for item, tokens in enumerate(subject.items):
        token_rows = (*tokens, END)
        number[token_rows] = item
        for place, token in enumerate(token_rows):
            following = allowed.setdefault(token_rows[:place], [])
            if token not in following:
                following.append(token)
    if subject.causal:  # transformers continues at the right
        tokens, mask = (x.flip(1) for x in padded([row[::-1] for row in prompts], device))
    else:
        tokens, mask = padded(prompts, device)
    start = tokens.shape[1] if subject.causal else 1
    out = subject.model.generate(
        input_ids=tokens,
        attention_mask=mask.long(),
        num_beams=width,
        num_return_sequences=width,
        max_new_tokens=max(map(len, number)),
        length_penalty=0.0,
        do_sample=False,
        eos_token_id=END,
        pad_token_id=PAD,
        prefix_allowed_tokens_fn=lambda _, s: allowed.get(tuple(s[start:].tolist()), [END]),
        return_dict_in_generate=True,
        output_scores=scores,
    )
    rows = [tuple(row) for row in out.sequences[:, start:].tolist()]
    items = [number[row[: row.index(END) + 1]] for row in rows]
    grouped = [items[i : i + width] for i in range(0, len(items), width)]
    return grouped, out.sequences_scores.view(-1, width).tolist() if scores else []


def compare(subject: Subject, width: int, batch: int, device: str) -> dict[str, Any]:
    """Both methods over all users, in turn, batch by batch."""
    subject.model.to(device)
    trie = ItemTrie.build(subject.items, END).to(device)
    batches = [subject.prompts[i : i + batch] for i in range(0, len(subject.prompts), batch)]
    ours(subject, trie, batches[0][:2], width, device)  # warm up
    _, expected = theirs(subject, batches[0], width, device, scores=True)
    _, scores = ours(subject, trie, batches[0], width, device)
    seconds = {"ours": 0.0, "transformers": 0.0}
    same = 0
    for prompts in batches:
        began = time.perf_counter()
        found, _ = ours(subject, trie, prompts, width, device)
        seconds["ours"] += time.perf_counter() - began
        began = time.perf_counter()
        other, _ = theirs(subject, prompts, width, device, scores=False)
        seconds["transformers"] += time.perf_counter() - began
        same += sum(one == two for one, two in zip(found, other))
    users = len(subject.prompts)
    return {
        "users": users,
        "batch": batch,
        "items": trie.n_items,
        "users_per_second": {name: users / taken for name, taken in seconds.items()},
        "times_faster": seconds["transformers"] / seconds["ours"],
        "users_with_the_same_list": same,
        "largest_difference": float(np.abs(np.array(scores) - np.array(expected)).max()),
    }


def render(measured: dict[str, Any]) -> str:
    """The report, in Markdown."""
    head = (
        f"ml-100k, {measured['width']} beams, {measured['hardware']}, "
        f"{measured['threads']} threads, torch {measured['torch']}, "
        f"transformers {measured['transformers']}.\n\n"
    )
    lines = [
        "| model | users | batch | transformers, users/s | ours, users/s | faster | same lists "
        "| largest difference of log-probabilities |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in measured["models"].items():
        speed = row["users_per_second"]
        lines.append(
            f"| {name} | {row['users']} | {row['batch']} | {speed['transformers']:.3g} "
            f"| {speed['ours']:.3g} | {row['times_faster']:.3g} × "
            f"| {row['users_with_the_same_list']} | {row['largest_difference']:.1e} |"
        )
    return head + "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 where the goal was missed or a list differs."""
    import transformers

    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.decoding", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=64, help="of GenRec; of P5 eight times these")
    parser.add_argument("--width", type=int, default=20, help="beams, and items to find")
    parser.add_argument("--batch", type=int, help="users at once (default: as each evaluates)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--llm", default="SmolLM2-135M", help="of GenRec")
    parser.add_argument("--layers", type=int, default=2, help="of it, the first; 0 is all")
    parser.add_argument("--output", type=Path, default=RESULTS)
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    subjects: dict[str, Callable[[], Subject]] = {
        "P5, collaborative ids": lambda: p5(read_data(8 * a.users)),
        "GenRec, titles": lambda: genrec(read_data(a.users), a.llm, a.layers or None),
    }
    measured: dict[str, Any] = {
        "width": a.width,
        "threads": a.threads,
        "hardware": hardware(torch.device(a.device)),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "models": {
            name: compare(made := make(), a.width, a.batch or made.batch, a.device)
            for name, make in subjects.items()
        },
    }
    report = render(measured)
    name = "decoding" if a.device == "cpu" else f"decoding_{a.device}"
    write_json(a.output / f"{name}.json", measured)
    write_atomically(a.output / f"{name}.md", report)
    print(report)
    rows = measured["models"].values()
    reached = all(row["times_faster"] >= GOAL for row in rows)
    return 0 if reached and all(r["users_with_the_same_list"] == r["users"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
