"""A sentence from evidence, Eq. (24): P(y_exp | u, i, c_t) = LLM([h_u; h_i; c_t; template]).

    evidence ─▶ clauses ─▶ prompt + opening ─▶ language model, greedily ─▶ check ─▶ its sentence
                     └──▶ the template's sentence, unless the model's passes and says more

The paper's inputs are vectors of user, item and context. Here the inputs are words: the facts of
the evidence. A pretrained model that was never trained on such vectors cannot read them, and only
words can be checked against the output. The opening is the template, which the model continues.

The model's sentence replaces the template's only where every claim in it is supported (claims.py),
and where it has a reason that the template's sentence lacks. "… is recommended." has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm4rec_recbole.components.explanation.claims import ClaimChecker, SentenceClaim, reasons_in
from llm4rec_recbole.components.explanation.evidence import (
    MAX_ASPECTS,
    Evidence,
    Reason,
    clauses_of,
    distinct_reasons,
    join_names,
    join_words,
    template_sentence,
)
from llm4rec_recbole.components.explanation.grounding import ABBREVIATION

MAX_SENTENCES = 2
_SENTENCE = re.compile(r".*?[.!?][\"”’)]*(?=\s|$)", re.DOTALL)


def prompt_of(evidence: Evidence) -> str:
    """Return the language model's prompt: [h_u; h_i; c_t; template] of Eq. (24) in words."""
    facts = [f"Recommended: {evidence.name}"]
    facts += [f"{evidence.name} {clause.text}." for clause in clauses_of(evidence)]
    return (
        "\n".join(facts)
        + f"\nIn one short sentence, tell the user why {evidence.name} is recommended. "
        "Use these facts only, and no other names."
    )


def opening_of(evidence: Evidence, reason: Reason) -> str:
    """Return the beginning of the sentence that the language model continues."""
    name, context = evidence.name, evidence.context
    match reason[0].kind:
        case "preference":
            return f"You often choose {join_words(evidence.likes[:MAX_ASPECTS])}, and {name}"
        case "similarity":
            return f"Because you chose {join_names(evidence.similar)}, {name}"
        case "time":
            return f"You have just chosen {join_names(context.latest)}, and {name}"
        case "trend":
            return f"{name} is on the rise at the moment, and"
        case _:
            return f"{name} {reason[0].text}, and"


class Writer(Protocol):
    """Anything that continues an opening, such as a language model."""

    name: str

    def write(self, prompt: str, opening: str) -> str:
        """Return the continuation of `opening` in the answer to `prompt`."""


@dataclass(frozen=True)
class Explanation:
    """A sentence, its writer, and its evidence."""

    evidence: Evidence
    reason: Reason  # what the template's sentence says; () for no reason
    sentence: str
    claims: tuple[SentenceClaim, ...]  # of the sentence; all are supported
    written_by: str  # the writer's name, or "template"
    refused: str  # the writer's sentence, where it is not shown
    problems: tuple[str, ...]  # why it is not shown
    refused_claims: tuple[SentenceClaim, ...]

    @property
    def template(self) -> str:
        """The kinds of the reason's clauses, such as "similarity" or "preference, trend"."""
        return ", ".join(clause.kind for clause in self.reason) or "none"

    @property
    def cited(self) -> tuple[str, ...]:
        """The raw tokens of the items of the history that the sentence names."""
        named = {claim.text for claim in self.claims if claim.kind == "item"}
        items = {c.item: c.name for c in self.evidence.cited}
        return tuple(item for item, name in items.items() if name in named)


def explain_list(
    evidence: Sequence[Evidence], checker: ClaimChecker, writer: Writer | None
) -> list[Explanation]:
    """Eq. (24): P(y_exp | u, i, c_t), for each item of one user's list: sentences that claim
    nothing but evidence.

    No two items have the same reason, unless their evidence is the same. The sentences are the
    writer's where they pass the check and say more than the template's, and otherwise the
    template's.
    """
    reasons = distinct_reasons([clauses_of(facts) for facts in evidence])
    plain = [template_sentence(facts, reason) for facts, reason in zip(evidence, reasons)]
    claims = [checker.claims(sentence, facts) for sentence, facts in zip(plain, evidence)]
    given_reasons = [reasons_in(its_claims) for its_claims in claims]
    explanations = []
    for number, (facts, reason) in enumerate(zip(evidence, reasons)):
        written, problems, its_claims = "", [], []
        if writer is not None and reason:
            opening = opening_of(facts, reason)
            written = first_sentences(
                f"{opening} {writer.write(prompt_of(facts), opening).strip()}"
            )
            its_claims = checker.claims(written, facts)
            problems = checker.problems(written, facts) if written else ["it is not a sentence"]
            if not problems and not reasons_in(its_claims) > given_reasons[number]:
                problems = ["it gives no further reason"]
            if not problems and reasons_in(its_claims) in given_reasons:
                problems = ["another item of the list has its reasons"]
            if not problems:
                given_reasons[number] = reasons_in(its_claims)
                explanation = Explanation(
                    facts, reason, written, tuple(its_claims), writer.name, "", (), ()
                )
                explanations.append(explanation)
                continue
        explanations.append(
            Explanation(
                facts, reason, plain[number], tuple(claims[number]), "template",
                written, tuple(problems), tuple(its_claims),
            )
        )  # fmt: skip
    return explanations


def first_sentences(text: str, n: int = MAX_SENTENCES) -> str:
    """The first `n` complete sentences of `text` on one line, "" without any. A full stop after a
    single letter, or after "Mr" and the like, ends no sentence."""
    sentences: list[str] = []
    unfinished = ""
    for part in _SENTENCE.findall(" ".join(text.split())):
        unfinished += part
        if not ABBREVIATION.search(unfinished):
            sentences.append(unfinished.strip())
            unfinished = ""
    return " ".join(sentences[:n])


class GreedyWriter:
    """A transformers causal language model that always continues with the most probable token.

    model, tokenizer: as language_models/load.py loads them; name: the writer's name in results;
    max_new_tokens: how many tokens it may write.
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
