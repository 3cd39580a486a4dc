"""A sentence from evidence, Eq. (24): P(y_exp | u, i, c_t) = LLM([h_u; h_i; c_t; template]).

    evidence ─▶ prompt + opening ─▶ language model, greedily ─▶ check ─▶ its sentence
                                                                  └ fails ─▶ the template's sentence

The paper's inputs are vectors of user, item and context. Here the inputs are words: the facts of
the evidence. A pretrained model that was never trained on such vectors cannot read them, and only
words can be checked against the output. The opening is the template, which the model continues.

The templates, one for each kind of explanation of Eq. (25):

    preference   "Casablanca" fits your taste for Drama (41 %) and War (12 %).
    similarity   "Casablanca" is like "Citizen Kane" and "Notorious", which you chose.
    context      "Casablanca" goes with your latest choices: "Citizen Kane" and "Notorious".
                 "Casablanca" is on the rise: chosen 34 times in the last 30 days.
    none         "Casablanca" is recommended, but the data give no reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm4rec_recbole.components.explanation.context import TREND_DAYS
from llm4rec_recbole.components.explanation.evidence import CitedItem, Evidence
from llm4rec_recbole.components.explanation.grounding import ABBREVIATION, GroundingChecker

MAX_ASPECTS = 3  # of the item's aspects in one sentence
MAX_SENTENCES = 2
_SENTENCE = re.compile(r".*?[.!?][\"”’)]*(?=\s|$)", re.DOTALL)


def template_sentence(evidence: Evidence) -> str:
    """Return the sentence of the evidence's template; it names nothing that is not evidence."""
    name, context = evidence.name, evidence.context
    match evidence.template:
        case "preference":
            likes = [f"{a.name} ({100 * a.weight:.0f} %)" for a in evidence.aspects if a.liked]
            return f"{name} fits your taste for {join_words(likes[:MAX_ASPECTS])}."
        case "similarity":
            return f"{name} is like {_names(evidence.similar)}, which you chose."
        case "context" if context.trend > context.time:
            times = f"{context.recent} times in the last {TREND_DAYS} days"
            return f"{name} is on the rise: chosen {times}."
        case "context":
            return f"{name} goes with your latest choices: {_names(context.latest)}."
        case _:
            return f"{name} is recommended, but the data give no reason."


def prompt_of(evidence: Evidence) -> str:
    """Return the language model's prompt: [h_u; h_i; c_t; template] of Eq. (24) in words."""
    facts = [f"Recommended: {evidence.name}"]
    if evidence.aspects:
        facts.append(f"{evidence.name} is: {', '.join(a.name for a in evidence.aspects)}")
    if evidence.likes:
        facts.append(f"The user often chooses: {', '.join(evidence.likes[:MAX_ASPECTS])}")
    if evidence.similar:
        facts.append(f"The user chose, and it is similar: {_names(evidence.similar)}")
    if evidence.context.latest:
        facts.append(f"The user's latest: {_names(evidence.context.latest)}")
    if evidence.context.trend > 0:
        facts.append(f"{evidence.name} is on the rise at the moment")
    return (
        "\n".join(facts)
        + f"\nIn one short sentence, tell the user why {evidence.name} is recommended. "
        "Use these facts only, and no other names."
    )


def opening_of(evidence: Evidence) -> str:
    """Return the beginning of the sentence that the language model continues."""
    name, context = evidence.name, evidence.context
    match evidence.template:
        case "preference":
            return f"You often choose {join_words(evidence.likes[:MAX_ASPECTS])}, and {name}"
        case "similarity":
            return f"Because you chose {_names(evidence.similar)}, {name}"
        case "context" if context.trend > context.time:
            return f"{name} is on the rise at the moment, and"
        case "context":
            return f"You have just chosen {_names(context.latest)}, and {name}"
        case _:
            return name


def join_words(words: Sequence[str]) -> str:
    """Return `A`, `A and B`, or `A, B and C`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _names(items: Sequence[CitedItem]) -> str:
    return join_words([item.name for item in items])


class Writer(Protocol):
    """Anything that continues an opening, such as a language model."""

    name: str

    def write(self, prompt: str, opening: str) -> str:
        """Return the continuation of `opening` in the answer to `prompt`."""
        ...


@dataclass(frozen=True)
class Explanation:
    """A sentence, its writer, and its evidence."""

    evidence: Evidence
    sentence: str
    written_by: str  # the writer's name, or "template"
    refused: str  # the writer's sentence, where it was refused
    problems: tuple[str, ...]  # why it was refused


def explain(evidence: Evidence, checker: GroundingChecker, writer: Writer | None) -> Explanation:
    """Eq. (24): P(y_exp | u, i, c_t): one or two sentences that name nothing but evidence.

    They are the writer's where they pass the check, otherwise the template's. Without a writer, or
    without evidence to write from, they are the template's too.
    """
    plain = template_sentence(evidence)
    if writer is None or evidence.template == "none":
        return Explanation(evidence, plain, "template", "", ())
    opening = opening_of(evidence)
    written = first_sentences(f"{opening} {writer.write(prompt_of(evidence), opening).strip()}")
    problems = checker.problems(written, evidence) if written else ["it is not a sentence"]
    if problems:
        return Explanation(evidence, plain, "template", written, tuple(problems))
    return Explanation(evidence, written, writer.name, "", ())


def first_sentences(text: str) -> str:
    """Return the first two complete sentences of `text` on one line, "" where there is none.

    A full stop after a single letter, or after "Mr" and the like, ends no sentence.
    """
    sentences: list[str] = []
    open_ = ""
    for part in _SENTENCE.findall(" ".join(text.split())):
        open_ += part
        if not ABBREVIATION.search(open_):
            sentences.append(open_.strip())
            open_ = ""
    return " ".join(sentences[:MAX_SENTENCES])


class GreedyWriter:
    """A transformers causal language model that always continues with the most probable token.

    model, tokenizer: as language_models/load.py loads them; name: the writer's name in results;
    max_new_tokens: how many tokens it may write. On one machine the same prompt gives the same
    text.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, max_new_tokens: int = 48) -> None:
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        self.max_new_tokens = max_new_tokens

    def write(self, prompt: str, opening: str) -> str:
        import torch

        if getattr(self.tokenizer, "chat_template", None):
            messages = [{"role": "user", "content": prompt}]
            prompt = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        else:
            prompt += "\n"
        ids = self.tokenizer(prompt + opening, return_tensors="pt", add_special_tokens=False)
        ids = ids["input_ids"].to(self.model.device)  # (1, T)
        begin = ids.shape[1]

        def is_done(so_far: Any, scores: Any) -> Any:  # (1, T + written) -> (1,)
            whole, _, _ = self._text(so_far[0, begin:]).rpartition(" ")
            return torch.tensor([bool(first_sentences(whole))], device=so_far.device)

        with torch.inference_mode():
            written = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.eos_token_id,
                stopping_criteria=[is_done],
            )
        return self._text(written[0, begin:])

    def _text(self, ids: Any) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)
