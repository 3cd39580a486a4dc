"""Eq. (24): the prompt, the part of the answer that is used, and what is never printed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components.explanation.claims import ClaimChecker, reasons_in
from llm4rec_recbole.components.explanation.evidence import (
    Counted,
    Place,
    clauses_of,
    template_sentence,
)
from llm4rec_recbole.components.explanation.writer import (
    GreedyWriter,
    explain_list,
    first_sentences,
    opening_of,
    prompt_of,
)
from tests.helpers.evidence import make_evidence

CATALOGUE = ClaimChecker(
    ["Toy Story", "Star Wars", "Babe", "Heat", "It", "Seven"], ["Comedy", "War"]
)


class Says:
    """A writer with a fixed answer to every prompt."""

    name = "liar"

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def write(self, prompt: str, opening: str) -> str:
        return self.answer


MORE = "fits your taste for animation, and I recommend it. And"


def test_a_sentence_that_says_more_than_the_template_is_the_writers() -> None:
    explanation = explain_list([make_evidence()], CATALOGUE, Says(MORE))[0]
    opening = 'Because you chose "Star Wars" and "Babe", "Toy Story"'
    assert explanation.sentence == f"{opening} fits your taste for animation, and I recommend it."
    assert (explanation.written_by, explanation.problems) == ("liar", ())
    assert explanation.cited == ("11", "12")


@pytest.mark.parametrize("answer", ["is recommended.", "is a good choice.", "!!!"])
def test_a_sentence_that_says_no_more_than_the_template_is_not_shown(answer: str) -> None:
    explanation = explain_list([make_evidence()], CATALOGUE, Says(answer))[0]
    assert explanation.sentence == template_sentence(make_evidence())
    assert explanation.problems == ("it gives no further reason",)
    assert explanation.refused.startswith("Because you chose")


@pytest.mark.parametrize(
    "answer",
    [
        'is as good as "Heat", and it is animation.',  # another item's title
        "is as good as Heat.",
        "is as good as Seven.",
        "is a War film.",  # a category not in the evidence
        "stars Tom Hanks.",
        "is on the rise, and fits your taste for animation.",  # a trend that is not there
        "fits your taste for animation, a classic example.",  # praise
        "is in your region, and fits your taste for animation.",
        "",  # nothing, or nothing whole
        "   \n ",
        "is a film that goes on and",
    ],
)
def test_a_sentence_that_fails_is_never_shown(answer: str) -> None:
    explanation = explain_list([make_evidence()], CATALOGUE, Says(answer))[0]
    assert explanation.sentence == template_sentence(make_evidence())
    assert explanation.written_by == "template"
    assert explanation.problems
    assert all(claim.supported for claim in explanation.claims)


@pytest.mark.parametrize(
    ("answer", "unsupported"),
    [
        ("is not like Apollo 13.", "not"),  # denied
        ("is the most animation that you chose.", "most"),
        ("fits your taste for all animation.", "all"),
        ("is like Apollo 13, and Star Wars is like Apollo 13.", "like"),  # of another item
        ("and Star Wars are like Apollo 13.", "like"),
        ("fits your taste for animation (24 %).", "24"),  # another number of the evidence
        ("is animation, chosen 41 times in the last 30 days.", "41"),
        ("is on the rise: chosen 30 times.", "30"),
    ],
)
def test_what_only_sounds_like_the_evidence_is_never_shown(answer: str, unsupported: str) -> None:
    evidence = make_evidence(trend=0.8)
    explanation = explain_list([evidence], CATALOGUE, Says(answer))[0]
    assert explanation.written_by == "template"
    assert unsupported in [
        claim.text for claim in explanation.refused_claims if not claim.supported
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "fits your taste for animation (41 %).",
        "is on the rise: chosen 24 times, where its share predicts 8.",
        "fits your taste for animation, and is like Apollo 13.",
    ],
)
def test_numbers_and_likeness_that_the_evidence_has_are_shown(answer: str) -> None:
    explanation = explain_list([make_evidence(trend=0.8)], CATALOGUE, Says(answer))[0]
    assert explanation.sentence.endswith(answer), explanation.problems


def test_what_was_refused_is_reported_with_the_reason() -> None:
    explanation = explain_list([make_evidence()], CATALOGUE, Says("is a War film."))[0]
    assert explanation.refused.endswith("is a War film.")
    assert "'war' is a category" in explanation.problems


@given(st.text(max_size=80))
def test_whatever_is_written_what_is_shown_passes_the_check(answer: str) -> None:
    explanation = explain_list([make_evidence()], CATALOGUE, Says(answer))[0]
    assert CATALOGUE.problems(explanation.sentence, explanation.evidence) == []


def test_without_evidence_or_writer_the_template_is_used() -> None:
    bare = make_evidence(similar=[], latest=[], categories=[])
    assert bare.template == "none"
    for explanation in (
        *explain_list([bare], CATALOGUE, Says("is great.")),
        *explain_list([make_evidence()], CATALOGUE, None),
    ):
        assert explanation.written_by == "template"
        assert (explanation.refused, explanation.problems) == ("", ())


RENO = Place("Reno, NV", Counted(12, 3.0, True), 20, True)
REGION = Place("zip code 9…", Counted(34, 12.0, True), 70, False)


@pytest.mark.parametrize("template", ["preference", "similarity", "context"])
@pytest.mark.parametrize("trend", [0.0, 0.8])
@pytest.mark.parametrize("title", ["Toy Story", ""])
@pytest.mark.parametrize("place", [None, RENO, REGION])
def test_all_that_the_templates_say_passes_the_check(
    template: str, trend: float, title: str, place: Place | None
) -> None:
    evidence = make_evidence(template=template, trend=trend, title=title, place=place)
    clauses = clauses_of(evidence)
    assert len(clauses) == 3 + bool(trend) + bool(place)
    for clause in clauses:
        assert CATALOGUE.problems(template_sentence(evidence, (clause,)), evidence) == []
        assert CATALOGUE.problems(opening_of(evidence, (clause,)), evidence) == []
    whole = template_sentence(evidence, tuple(clauses))
    assert CATALOGUE.problems(whole, evidence) == []
    kinds = {kind for kind, _ in reasons_in(CATALOGUE.claims(whole, evidence))}
    optional = {"trend"} if trend else set()
    optional |= {"location"} if place else set()
    assert kinds == {"item", "category"} | optional


def test_a_list_repeats_no_reason_unless_the_evidence_is_the_same() -> None:
    """The fourth item has what the first has; the others say the same in some clause."""
    listed = [
        make_evidence(title="A"),
        make_evidence(title="B"),
        make_evidence(title="C", categories=["Animation"], latest=[]),
        make_evidence(title="D", categories=[], latest=[]),
    ]
    explanations = explain_list(listed, CATALOGUE, None)
    reasons = [reasons_in(explanation.claims) for explanation in explanations]
    assert len(set(reasons)) == 4
    assert [e.template for e in explanations][-1] == "similarity"
    same = explain_list([make_evidence(title=t, categories=[], latest=[]) for t in "AB"],
                        CATALOGUE, None)  # fmt: skip
    assert reasons_in(same[0].claims) == reasons_in(same[1].claims)


def test_a_writers_sentence_does_not_repeat_the_reasons_of_another_item() -> None:
    listed = [make_evidence(title="A", latest=[]), make_evidence(title="B", latest=[])]
    answer = Says("fits your taste for animation and comedy, and is like Star Wars and Babe.")
    explanations = explain_list(listed, CATALOGUE, answer)
    assert [e.written_by for e in explanations] == ["liar", "template"]
    assert explanations[1].problems == ("another item of the list has its reasons",)


def test_the_prompt_holds_the_evidence_and_no_other_name() -> None:
    evidence = make_evidence(trend=0.8)
    prompt = prompt_of(evidence)
    for name in (*evidence.names, "Animation", "Comedy"):
        assert name in prompt
    assert "on the rise: chosen 24 times" in prompt
    assert "rise" not in prompt_of(make_evidence(trend=0.0))


def test_what_the_user_does_not_like_is_not_given_as_a_reason() -> None:
    evidence = make_evidence(
        template="preference", categories=["Animation", "Comedy", "War"], similar=["Babe"]
    )
    assert evidence.aspects[-1].weight < evidence.aspects[-1].usual
    assert "choose Animation and Comedy, and" in opening_of(evidence, tuple(clauses_of(evidence)))
    assert "War" not in prompt_of(evidence)
    assert "War" not in template_sentence(evidence)


def test_the_prompt_leaves_out_what_there_is_not() -> None:
    prompt = prompt_of(make_evidence(title="", categories=[], similar=[], latest=[]))
    assert prompt.splitlines()[:-1] == ["Recommended: item 7"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", "One. Two!"),
        ('He said "Yes." And went', 'He said "Yes."'),
        ("Mr. Smith is  here.\nSo. Am I.", "Mr. Smith is here. So."),
        ("L. A. burns. Now", "L. A. burns."),
        ("It costs 3.5 or so. Yes", "It costs 3.5 or so."),
        ("no end", ""),
        ("", ""),
    ],
)
def test_only_two_whole_sentences_are_used(text: str, sentences: str) -> None:
    assert first_sentences(text) == sentences


class Tokenizer:
    """Letters are tokens; the answer of the chat template names its role."""

    eos_token_id = pad_token_id = 0
    chat_template = "yes"

    def apply_chat_template(self, messages: list, **how: object) -> str:
        assert how == {"tokenize": False, "add_generation_prompt": True}
        return f"<user>{messages[0]['content']}<assistant>"

    def __call__(self, text: str, **how: object) -> dict:
        return {"input_ids": torch.tensor([[ord(letter) for letter in text]])}

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool) -> str:
        return "".join(map(chr, ids.tolist()))


class Model:
    """Goes on from its input with as many `.` as it is allowed; remembers what it was given."""

    device = torch.device("cpu")

    def eval(self) -> Model:
        return self

    def generate(self, ids: torch.Tensor, **how: object) -> torch.Tensor:
        self.given, self.how = "".join(map(chr, ids[0].tolist())), how
        return torch.cat([ids, torch.full((1, how["max_new_tokens"]), ord("."))], 1)


def test_the_model_continues_the_opening_greedily() -> None:
    model = Model()
    writer = GreedyWriter(model, Tokenizer(), "m", max_new_tokens=3)
    assert writer.write("Why?", "Because") == "..."
    assert model.given == "<user>Why?<assistant>Because"
    assert model.how["do_sample"] is False


def test_a_model_without_a_chat_template_is_given_plain_text() -> None:
    model, tokenizer = Model(), Tokenizer()
    tokenizer.chat_template = None
    GreedyWriter(model, tokenizer, "m").write("Why?", "Because")
    assert model.given == "Why?\nBecause"
