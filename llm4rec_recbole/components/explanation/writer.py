"""A sentence from evidence, Eq. (24): P(y_exp | u, i, c_t) = LLM([h_u; h_i; c_t; template]).

    evidence ─▶ prompt + opening ─▶ language model, greedily ─▶ check ─▶ its sentence
                                                                  └ fails ─▶ the template's sentence

What the paper puts in as vectors, user, item and context, goes in here in words: the facts of the
evidence. A pretrained model that was never trained on such vectors can make nothing of them, and of
words one can check what becomes of them. The opening is the template: the model goes on from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from llm4rec_recbole.components.explanation.evidence import Evidence
from llm4rec_recbole.components.explanation.grounding import ABBREVIATION, GroundingChecker
from llm4rec_recbole.components.explanation.templates import (
    MOST_NAMED,
    join_words,
    template_sentence,
)

MOST_SENTENCES = 2
_SENTENCE = re.compile(r".*?[.!?][\"”’)]*(?=\s|$)", re.DOTALL)


class Writer(Protocol):
    """Anything that goes on from an opening: a language model, or one who would cheat the check."""

    name: str

    def write(self, prompt: str, opening: str) -> str:
        """The answer to `prompt` that begins with `opening`, which is not repeated."""
        ...


@dataclass(frozen=True)
class Explanation:
    """A sentence, who wrote it, and what it rests on."""

    evidence: Evidence
    sentence: str
    written_by: str  # the writer's name, or "template"
    refused: str  # what the writer wrote, where that was refused
    problems: tuple[str, ...]  # and why


def explain(evidence: Evidence, catalogue: GroundingChecker, writer: Writer | None) -> Explanation:
    """A sentence or two that name nothing but the evidence: the writer's where they pass the check,
    else the template's; the template's too without a writer, or without evidence to write from."""
    plain = template_sentence(evidence)
    if writer is None or evidence.template == "none":
        return Explanation(evidence, plain, "template", "", ())
    opening = opening_of(evidence)
    written = first_sentences(f"{opening} {writer.write(prompt_of(evidence), opening).strip()}")
    problems = catalogue.problems(written, evidence) if written else ["it is not a sentence"]
    if problems:
        return Explanation(evidence, plain, "template", written, tuple(problems))
    return Explanation(evidence, written, writer.name, "", ())


def prompt_of(evidence: Evidence) -> str:
    """The facts of the evidence and what to do with them: [h_u; h_i; c_t; template] in words."""
    facts = [f"Recommended: {evidence.name}"]
    if evidence.aspects:
        facts.append(f"{evidence.name} is: {', '.join(a.name for a in evidence.aspects)}")
    if evidence.likes:
        facts.append(f"The user often chooses: {', '.join(evidence.likes[:MOST_NAMED])}")
    if evidence.similar:
        facts.append(
            f"The user chose, and it is similar: {join_words([c.name for c in evidence.similar])}"
        )
    if evidence.context.latest:
        facts.append(f"The user's latest: {join_words([c.name for c in evidence.context.latest])}")
    if evidence.context.trend > 0:
        facts.append(f"{evidence.name} is on the rise at the moment")
    return (
        "\n".join(facts)
        + f"\nIn one short sentence, tell the user why {evidence.name} is recommended. "
        "Use these facts only, and no other names."
    )


def opening_of(evidence: Evidence) -> str:
    """How the sentence begins, by the chosen template."""
    name, moment = evidence.name, evidence.context
    match evidence.template:
        case "preference":
            return f"You often choose {join_words(evidence.likes[:MOST_NAMED])}, and {name}"
        case "similarity":
            return f"Because you chose {join_words([c.name for c in evidence.similar])}, {name}"
        case "context" if moment.trend > moment.time:
            return f"{name} is on the rise at the moment, and"
        case "context":
            return f"You have just chosen {join_words([c.name for c in moment.latest])}, and {name}"
        case _:
            return name


def first_sentences(text: str) -> str:
    """The first two whole sentences of `text` on one line, "" where there is none.

    A full stop after a single letter, or after "Mr" and the like, ends no sentence.
    """
    found: list[str] = []
    open_ = ""
    for part in _SENTENCE.findall(" ".join(text.split())):
        open_ += part
        if not ABBREVIATION.search(open_):
            found.append(open_.strip())
            open_ = ""
    return " ".join(found[:MOST_SENTENCES])


class GreedyWriter:
    """A transformers causal language model, always going on with the likeliest token.

    model, tokenizer: as encoders/language_model.py loads them; name: what results call it;
    max_prompt_tokens: how many it may write. The same prompt gives the same text on the same
    machine.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, max_prompt_tokens: int = 48) -> None:
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        self.max_prompt_tokens = max_prompt_tokens

    def write(self, prompt: str, opening: str) -> str:
        import torch

        asked = prompt
        if getattr(self.tokenizer, "chat_template", None):
            asked = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        else:
            asked += "\n"
        ids = self.tokenizer(asked + opening, return_tensors="pt", add_special_tokens=False)
        ids = ids["input_ids"].to(self.model.device)  # (1, T)
        begin = ids.shape[1]

        def is_done(so_far: Any, scores: Any) -> Any:  # (1, T + written) -> (1,)
            whole, _, _ = self._text(so_far[0, begin:]).rpartition(" ")
            return torch.tensor([bool(first_sentences(whole))], device=so_far.device)

        with torch.inference_mode():
            written = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self.max_prompt_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.eos_token_id,
                stopping_criteria=[is_done],
            )
        return self._text(written[0, begin:])

    def _text(self, ids: Any) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)
