"""Does a prefix trained from h_u, h_i and c_t improve the sentences of Eq. (24)?

    python -m benchmarks.studies.prefix_writer

    [h_u; h_i; c_t] (3 d) ─▶ linear map ─▶ TOKENS soft tokens ─┐
    facts, as words ───────────────────────────────────────────┴▶ frozen SmolLM2 ─▶ the sentence

The package's writer reads the facts of the evidence as words. Here soft tokens stand between these
words and the template, the opening of the sentence. The map is trained on sentences about training
interactions: the opening has one fact, and the target, which continues it, has the next one. The
language model stays frozen.

Nulls: a map that nothing trained, and a trained prefix that is the same for every item. A prefix
that only teaches the format of a sentence equals the second one. Without the facts in the prompt,
the names must come from the vectors.

Perplexity is that of the true continuation, a token, for recommendations to test users. The other
numbers are of the sentences that the writer's rules show. Writes prefix_writer.json and .md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.options import RESULTS
from benchmarks.report import table
from benchmarks.studies.prefix_model import Example, Language, Prefix, train_prefix
from llm4rec_recbole.analysis.faithfulness import faithfulness, shortened
from llm4rec_recbole.analysis.sentences import distinct_n, quality
from llm4rec_recbole.components.explanation.evidence import clauses_of
from llm4rec_recbole.components.explanation.writer import Explanation, explain_list
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.held_out_loader import scorer
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.inference import recommend as inference
from llm4rec_recbole.inference.restore import TrainedModel, newest_checkpoint, restore
from llm4rec_recbole.machine import processor_name

#: Condition → (facts in the prompt, prefix: none, untrained, constant or trained).
CONDITIONS = {
    "text facts (the package)": (True, "none"),
    "text facts, untrained prefix": (True, "untrained"),
    "text facts, constant trained prefix": (True, "constant"),
    "text facts, trained prefix": (True, "trained"),
    "no facts, trained prefix": (False, "trained"),
}


def vectors_of(model: TrainedModel, history: HeldOut, item: int, collector: Any) -> np.ndarray:
    """h_u, h_i and c_t, (3, d), for the one user in `history`."""
    network = model.model
    with torch.no_grad():
        users, items, entries = network.inputs_of(history, np.array([0]))
        own = network.item_table()
        state = network(users, items, own, entries, last_only=True)[0]
    seen = model.model_history(history.items)
    context = collector.context_vector(item, seen, float(history.times[-1]), int(history.users[0]))
    return np.stack([state.numpy(), own[item].detach().numpy(), context])


def training_examples(model: TrainedModel, collector: Any, n: int) -> list[Example]:
    """Examples of `n` random training interactions with at least two facts."""
    draw = np.random.default_rng(0)
    examples: list[Example] = []
    tokens = model.user_tokens
    while len(examples) < n:
        row = int(draw.integers(len(model.items)))
        user = int(model.users[row])
        before = np.flatnonzero((model.users == user) & (model.times < model.times[row]))
        if len(before) < 5:
            continue
        items, times, item = model.items[before], model.times[before], int(model.items[row])
        target, ends = np.array([item]), np.array([0, len(items)])
        history = HeldOut(np.array([user]), target, ends, items, times, model.test.n_items)
        seen, now = model.model_history(items), float(model.times[row])
        evidence = collector.evidence(str(tokens[user]), item, seen, now, None, user)
        if len(clauses_of(evidence)) > 1:
            examples.append(Example.of(evidence, vectors_of(model, history, item, collector)))
    return examples


class _Prepared:
    """A writer whose continuations were computed before."""

    name = "language model"

    def __init__(self, texts: dict[tuple[str, str], str]) -> None:
        self.texts = texts

    def write(self, prompt: str, opening: str) -> str:
        return self.texts.get((prompt, opening), "")


def measure(
    model: TrainedModel, explainer: Any, lists: Sequence[Sequence[Example]], texts: Sequence[str]
) -> dict[str, Any]:
    """The quality and the faithfulness of the sentences that are shown, and of the model's own."""
    examples = [example for own in lists for example in own]
    keys = ((e.prompts[True], e.opening) for e in examples)
    writer = _Prepared(dict(zip(keys, texts)))
    explained: list[Explanation] = []
    for own in lists:
        explained += explain_list([e.evidence for e in own], explainer.checker, writer)
    entries = [
        {
            "user": e.evidence.user,
            "sentence": e.sentence,
            "claims": e.claims,
            "written_by": e.written_by,
            "refused": e.refused,
            "refused_claims": e.refused_claims,
        }
        for e in explained
    ]
    rows = quality(entries)
    numbers = {token: number for number, token in enumerate(explainer.names.tokens)}
    items = np.array([numbers[e.evidence.item] for e in explained])
    test_row = {str(model.user_tokens[u]): row for row, u in enumerate(model.test.users)}
    owners = np.array([test_row[e.evidence.user] for e in explained])
    histories = [model.model_history(model.user_history(e.evidence.user).items) for e in explained]

    def score(chosen: np.ndarray, shorter: list[np.ndarray]) -> np.ndarray:
        held_out = shortened(model.test, owners[chosen], shorter)
        score_rows = scorer(model.model, model.config, held_out, model.dataset)
        return score_rows(np.arange(len(chosen)))[np.arange(len(chosen)), items[chosen]].astype(
            np.float64
        )

    cited = [np.array([numbers[token] for token in e.cited], dtype=np.int64) for e in explained]
    popularity = np.bincount(model.items, minlength=model.test.n_items)
    own_rows = rows.get("the language model's own", rows["shown"])
    return {
        "shown": asdict(rows["shown"]),
        "own": asdict(own_rows),
        "faithfulness": asdict(faithfulness(score, histories, cited, popularity, 1)),
        "examples": [e.refused or e.sentence for e in explained[:6]],
        "continuations": {"distinct_2": distinct_n(texts, 2), "different": len(set(texts))},
    }


def render(result: dict[str, Any]) -> str:
    """The table, and what was measured."""
    lines = []
    for name, row in result["conditions"].items():
        shown, own, faithful = row["shown"], row["own"], row["faithfulness"]
        lines.append(
            [
                name,
                f"{row['perplexity']:.2f}",
                f"{100 * own['supported']:.0f} %",
                f"{100 * shown['by_template']:.0f} %",
                f"{shown['distinct_2']:.3f}",
                f"{100 * shown['repeated']:.0f} %",
                f"{faithful['drop_cited']:.2f}",
                f"{faithful['difference_popular']:.2f} "
                f"[{faithful['low_popular']:.2f}, {faithful['high_popular']:.2f}]",
            ]
        )
    header = ["writer reads", "perplexity of the true fact", "its claims supported",
              "shown: by the template", "shown: distinct-2", "shown: repeated reasons",
              "score without the cited", "minus popular others"]  # fmt: skip
    return "\n\n".join(
        [
            f"ml-100k, {result['method']}, {result['recommendations']} recommendations to "
            f"{result['users']} test users; prefixes trained on {result['training_examples']} "
            f"training interactions (passes: {result['passes']}), {result['language_model']}. "
            f"{result['machine']}, one thread, {result['cpu_seconds']:.0f} CPU-seconds.",
            table(header, lines),
            "The trained prefix with the vectors of another recommendation has perplexity "
            f"{result['exchanged']['facts']:.2f} with the facts, "
            f"{result['exchanged']['no facts']:.2f} without.",
        ]
    )


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint_dir", default="work/checkpoints")
    parser.add_argument("--language_model", default="SmolLM2-135M")
    parser.add_argument("--examples", type=int, default=96)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("-k", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    a = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    model = restore(newest_checkpoint(a.checkpoint_dir, "EnhancedGenRec", "ml-100k"))
    explainer = inference.Explainer(model)
    collector = explainer.collector
    lists = []
    for row in inference.evenly_spaced(len(model.test), a.users):
        history = model.user_history(str(model.user_tokens[model.test.users[row]]))
        items = inference.top_k(model, history, a.k)
        evidence = [e.evidence for e in explainer.explain(history, items, None)]
        vectors = [vectors_of(model, history, item, collector) for item in items]
        lists.append([Example.of(e, v) for e, v in zip(evidence, vectors)])
    test = [example for own in lists for example in own]
    training = training_examples(model, collector, a.examples)
    print(f"{len(training)} examples, {time.process_time() - began:.0f} CPU-s", flush=True)
    language = Language(a.language_model)
    stacked = torch.from_numpy(np.stack([e.vectors for e in test])).float()
    two_facts = [number for number, e in enumerate(test) if len(clauses_of(e.evidence)) > 1]

    def perplexity(facts: bool, soft: torch.Tensor | None) -> float:
        total, count = 0.0, 0
        with torch.no_grad():
            for row in two_facts:
                loss, tokens = language.loss(test[row], facts, None if soft is None else soft[row])
                total, count = total + float(loss), count + tokens
        return float(np.exp(total / count))

    conditions: dict[str, Any] = {}
    exchanged = {}
    for name, (facts, kind) in CONDITIONS.items():
        print(name, f"{time.process_time() - began:.0f} CPU-s", flush=True)
        soft = None
        if kind == "untrained":
            torch.manual_seed(1)
            blank = Prefix(stacked.shape[2], language.width, language.scale, True)
            soft = blank(stacked).detach()
        elif kind != "none":
            reads = kind == "trained"
            prefix = train_prefix(language, training, facts, reads, a.passes)
            soft = prefix(stacked).detach()
        if kind == "trained":
            key = "facts" if facts else "no facts"
            exchanged[key] = perplexity(facts, soft.roll(a.k, 0) if soft is not None else None)
        texts = language.continuations(test, facts, soft)
        conditions[name] = measure(model, explainer, lists, texts)
        conditions[name]["perplexity"] = perplexity(facts, soft)
        print(conditions[name], flush=True)
    result = {
        "method": f"{model.method}, {model.config['protocol']}, seed {model.config['seed']}",
        "machine": processor_name(),
        "language_model": a.language_model,
        "users": a.users,
        "recommendations": len(test),
        "training_examples": len(training),
        "passes": a.passes,
        "cpu_seconds": time.process_time() - began,
        "exchanged": exchanged,
        "conditions": conditions,
    }
    write_json(a.output / "prefix_writer.json", result)
    write_atomically(a.output / "prefix_writer.md", render(result) + "\n")
    print(render(result))


if __name__ == "__main__":
    main()
