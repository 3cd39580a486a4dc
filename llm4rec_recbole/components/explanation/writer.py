"""A sentence from evidence, Eq. (24): P(y_exp | u, i, c_t) = LLM([h_u; h_i; c_t; template]).

    evidence ─▶ prompt + opening ─▶ language model, greedily ─▶ check ─▶ its sentence
                                                                  └ fails ─▶ the template's sentence

The paper's inputs are vectors of user, item and context. Here the inputs are words: the facts of
the evidence. A pretrained model that was never trained on such vectors cannot read them, and only
words can be checked against the output. The opening is the template, which the model continues.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from llm4rec_recbole.components.explanation.evidence import Evidence
from llm4rec_recbole.components.explanation.grounding import ABBREVIATION, GroundingChecker
from llm4rec_recbole.components.explanation.templates import (
    opening_of,
    prompt_of,
    template_sentence,
)

MAX_SENTENCES = 2
_SENTENCE = re.compile(r".*?[.!?][\"”’)]*(?=\s|$)", re.DOTALL)


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
