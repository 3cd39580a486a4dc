"""Sentences and prompts from evidence, one for each kind of explanation of Eq. (25).

preference   "Casablanca" fits your taste for Drama (41 %) and War (12 %).
similarity   "Casablanca" is like "Citizen Kane" and "Notorious", which you chose.
context      "Casablanca" goes with your latest choices: "Citizen Kane" and "Notorious".
             "Casablanca" is on the rise: chosen 34 times in the last 30 days.
none         "Casablanca" is recommended, but the data give no reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.components.explanation.context import TREND_DAYS
from llm4rec_recbole.components.explanation.evidence import CitedItem, Evidence

MAX_ASPECTS = 3  # of the item's aspects in one sentence


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
