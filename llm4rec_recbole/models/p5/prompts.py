"""P5's prompts: task families, each with training templates and one unseen template; and its T5.

A template has words and fields: "{user} has rated {history} . What comes next ?". A prompt is the
tokens of the words with the fields filled in. {user} is one token and {item} an item's code.
{history} is a list of codes; it needs no separators, since no code is a prefix of another.

The families follow P5 (Geng et al., RecSys 2022) and OpenP5 (Xu et al., SIGIR 2024); the wording
is our own. Answers are an item's code (sequential, direct), a number of stars (rating) or a
review's first words (explanation).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from llm4rec_recbole.components.retrieval.repository import training_reviews
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.sources import (
    as_input_error,
    load_complete,
    load_tokenizer,
    model_folder,
)

#: The templates of each task: three that train, and one that never does.
FAMILIES: dict[str, tuple[str, str, str, str]] = {
    "sequential": (
        "{user} has interacted with {history} . What comes next ?",
        "Here is the history of {user} : {history} . Recommend the next item .",
        "After {history} , which item will {user} choose ?",
        "What would {user} take after {history} ?",
    ),
    "direct": (
        "What should we recommend to {user} ?",
        "Choose an item for {user} .",
        "Which item will {user} like ?",
        "Recommend an item to {user} .",
    ),
    "rating": (
        "Which rating will {user} give {item} ?",
        "How will {user} rate {item} ?",
        "{user} rates {item} with how many stars ?",
        "What will {user} think of {item} ?",
    ),
    "explanation": (
        "Explain to {user} why {item} suits .",
        "What would {user} write about {item} ?",
        "Write the review of {item} by {user} .",
        "Give a review of {item} for {user} .",
    ),
}
#: The numbers of templates by the option `evaluation_prompt`; the last one never trains.
TEMPLATES = {"seen": 0, "unseen": 3}

Part = str | list[int]  # the name of a field, or the tokens of words
_MAX_REVIEW_WORDS = 20  # a review usually starts with its verdict


class Words:
    """A vocabulary of whole words: all words of the templates, and repeated words of the texts."""

    pad, end, unknown = 0, 1, 2
    name = None  # no pretrained model

    def __init__(self, texts: Iterable[str] = ()) -> None:
        counts = Counter(word for text in texts for word in _split(text))
        repeated = sorted(word for word, count in counts.items() if count > 1)
        templates = [template for family in FAMILIES.values() for template in family]
        words = dict.fromkeys(
            word for text in templates for word in _split(re.sub(r"\{\w+\}", " ", text))
        )
        self.words = ["<pad>", "</s>", "<unk>", *dict.fromkeys([*words, *repeated])]
        self.number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text's words; 2 for an unknown word."""
        return [self.number.get(word, self.unknown) for word in _split(text)]


class TokenizerWords:
    """The tokenizer of a pretrained model. Raises InputError without a pad or end token."""

    def __init__(self, tokenizer: Any, name: str, n_tokens: int) -> None:
        for role in ("pad", "eos"):
            if getattr(tokenizer, f"{role}_token_id") is None:
                raise InputError(f"the tokenizer of {name!r} has no {role} token")
        self.tokenizer, self.name, self.n_tokens = tokenizer, name, n_tokens
        self.pad, self.end = tokenizer.pad_token_id, tokenizer.eos_token_id

    def __len__(self) -> int:
        return self.n_tokens

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def parse(template: str, words: Any) -> list[Part]:
    """Split a template into parts: names of fields, and the tokens of the words between them."""
    parts: list[Part] = []
    for text, field in re.findall(r"([^{]+)|\{(\w+)\}", template):
        parts.append(field or words.encode(text.strip()))
    return parts


def fill(parts: Sequence[Part], **fields: Sequence[int]) -> list[int]:
    """Return the prompt: `parts` with each field replaced by its tokens."""
    prompt: list[int] = []
    for part in parts:
        prompt.extend(fields[part] if isinstance(part, str) else part)
    return prompt


def _split(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.']\w+)*|[^\w\s]", text.lower())


class Texts:
    """The text answers by row of the training data, where the data have them. Ratings are the field
    `RATING_FIELD`. Reviews are the loaded token sequence `REVIEW_FIELD`, else those of
    reviews.parquet."""

    def __init__(self, config: Any, dataset: Any) -> None:
        inter = dataset.inter_feat
        rating, review = config["RATING_FIELD"], config["REVIEW_FIELD"]
        self.ratings: Any = None  # (N,)
        if rating in inter:
            self.ratings = inter[rating]
        reviews: list[str] = []
        if review in inter:
            words = dataset.field2id_token[review]
            reviews = [" ".join(words[w] for w in row if w) for row in inter[review].tolist()]
        elif texts := training_reviews(config, dataset):
            reviews = texts
        #: (N,) first words, "" for a row without a review
        self.reviews = [" ".join(text.split()[:_MAX_REVIEW_WORDS]) for text in reviews]

    def has(self, family: str) -> bool:
        """Return whether the data have answers for `family`; items as answers always exist."""
        if family == "rating":
            return self.ratings is not None
        return family != "explanation" or any(self.reviews)

    def of(self, family: str, row: int) -> str:
        """The answer of a training row: its stars (rating), or its review's first words
        (explanation), "" if none."""
        if family == "rating":
            return f"{float(self.ratings[row]):.3g}"
        return self.reviews[row]

    def all(self) -> Iterator[str]:
        """Yield every text, for a vocabulary."""
        if self.ratings is not None:
            yield from (self.of("rating", row) for row in range(len(self.ratings)))
        yield from self.reviews


def load_t5(config: Any, words: Callable[[], Words], n_more: int) -> tuple[Any, Any]:
    """A T5ForConditionalGeneration with `n_more` tokens after its vocabulary, and the vocabulary.

    `config["t5"]` is "scratch", or a T5's folder or name on the hub; `words` builds the vocabulary
    of a T5 from scratch. Raises InputError if the T5 cannot be loaded.
    """
    if config["t5"] == "scratch":
        vocabulary = words()
        return _new_t5(config, len(vocabulary) + n_more), vocabulary
    return _pretrained(config["t5"], n_more)


def _new_t5(config: Any, n_tokens: int) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Attention

    sizes = ("hidden_size", "n_heads", "inner_size", "n_layers")
    d, heads, inner, layers = (config[name] for name in sizes)
    if d % heads:
        raise InputError(f"hidden_size {d} is not a multiple of n_heads {heads}")
    t5 = T5ForConditionalGeneration(
        T5Config(
            vocab_size=n_tokens,
            d_model=d,
            d_kv=d // heads,
            num_heads=heads,
            d_ff=inner,
            num_layers=layers,
            num_decoder_layers=layers,
            dropout_rate=config["hidden_dropout_prob"],
            pad_token_id=Words.pad,
            eos_token_id=Words.end,
            decoder_start_token_id=Words.pad,
        )
    )
    for module in t5.modules():
        if isinstance(module, T5Attention):
            module.dropout = config["attn_dropout_prob"]
    return t5


def _pretrained(name: str, n_more: int) -> tuple[Any, TokenizerWords]:
    from transformers import T5ForConditionalGeneration

    hint = "a T5's folder, its name on the hub where there is a network, or `scratch`"
    folder = model_folder(name, "T5")
    with as_input_error("T5", name, hint):
        tokenizer = load_tokenizer(folder)
        t5 = load_complete(T5ForConditionalGeneration, folder)
    words = TokenizerWords(tokenizer, name, max(len(tokenizer), t5.config.vocab_size))
    t5.resize_token_embeddings(len(words) + n_more, mean_resizing=False)
    return t5, words
