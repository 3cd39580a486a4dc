"""Beams and exhaustive scores, against the models' own forward passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from llm4rec_recbole.decoding import exhaustive
from llm4rec_recbole.decoding.beam import (
    NOT_FOUND,
    beam_search,
    catalogue_scores,
    unconstrained_search,
)
from llm4rec_recbole.decoding.exhaustive import chunks, exhaustive_scores
from llm4rec_recbole.decoding.tree_decoder import CausalTreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie
from tests.helpers.tiny_language_models import (
    END,
    MODELS,
    catalogues,
    decoder_of,
    one_by_one,
    prompts,
    teacher_forced,
    tiny_llama,
)

CATALOGUE = [(2, 3, 4), (2, 3), (2, 5), (6,), (7, 8, 9, 10), (7, 8, 9, 11), (7, 3), (11, 2, 2), ()]
both = pytest.mark.parametrize("kind", MODELS)
either = pytest.mark.parametrize("over", ["vocabulary", "catalogue"])


def allowed_in(sequences):
    sequences_with_end = [(*s, END) for s in sequences]
    return lambda prefix: sorted(
        {
            s[len(prefix)]
            for s in sequences_with_end
            if list(s[: len(prefix)]) == prefix and len(s) > len(prefix)
        }
    )


def reference(kind, sequences, over):
    tokens, mask = prompts()
    allowed = allowed_in(sequences) if over == "catalogue" else None
    return np.array(
        [
            [one_by_one(kind, row[real].tolist(), [*s, END], allowed) for s in sequences]
            for row, real in zip(tokens, mask)
        ]
    )


@both
@either
@pytest.mark.parametrize("chunk_size", [2, 256])
def test_exhaustive_scores_are_the_teacher_forced_log_probabilities(kind, over, chunk_size):
    trie = ItemTrie.build(CATALOGUE, END)
    scores = exhaustive_scores(decoder_of(kind), *prompts(), trie, over, chunk_size)
    np.testing.assert_allclose(scores, reference(kind, CATALOGUE, over), rtol=1e-4, atol=1e-4)


def test_tokens_leave_the_cache_by_their_number(monkeypatch):
    """transformers 4 also takes the new length; transformers 5 does not."""
    crop, removed = DynamicCache.crop, []
    monkeypatch.setattr(DynamicCache, "crop", lambda self, n: (removed.append(n), crop(self, n)))
    trie = ItemTrie.build(CATALOGUE, END)
    exhaustive_scores(decoder_of("causal"), *prompts(), trie, chunk_size=2)
    assert removed
    assert max(removed) < 0


class Renamed(torch.nn.Module):
    """The tiny Llama as in transformers from 5.24 on, where the cache has another name."""

    def __init__(self) -> None:
        super().__init__()
        self.model = tiny_llama().model

    def forward(self, cache, **inputs):
        name = CausalTreeDecoder(self.model, None).cache_option
        return self.model(**inputs, **{name: cache})


class Wrapped(torch.nn.Module):
    """A model around another, as GenRec's."""

    def __init__(self, body) -> None:
        super().__init__()
        self.body = body

    def forward(self, **inputs):
        return self.body(**inputs)


@pytest.mark.parametrize("wrap", [lambda body: body, Wrapped])
def test_the_cache_is_passed_by_the_name_that_the_model_has(wrap):
    head, (tokens, mask) = tiny_llama().lm_head, prompts()
    _, expected = decoder_of("causal").read(tokens, mask)
    _, states = CausalTreeDecoder(wrap(Renamed()), head).read(tokens, mask)
    torch.testing.assert_close(states, expected)


@both
@either
def test_logits_made_a_few_users_at_a_time_give_the_same_scores(kind, over, monkeypatch):
    trie = ItemTrie.build(CATALOGUE, END)
    at_once = beam_search(decoder_of(kind), *prompts(), trie, 3, over=over)
    monkeypatch.setattr(exhaustive, "_CACHED_LOGITS", 0)
    monkeypatch.setattr(exhaustive, "_MIN_STATES", 0)
    apart = beam_search(decoder_of(kind), *prompts(), trie, 3, over=over)
    assert (at_once.items == apart.items).all()
    np.testing.assert_allclose(at_once.scores, apart.scores, rtol=1e-5)


def test_a_t5_gives_the_same_states_whether_or_not_it_is_trained():
    """Without gradients prompts and keys are padded and the encoder is not transformers' own."""
    decoder, tokens = decoder_of("t5"), torch.tensor([[2, 3, 4]]).expand(3, -1)
    depth, sees = torch.arange(1, 4), torch.ones(1, 3, 3, dtype=torch.bool).tril()
    states = []
    for trained in (True, False):
        with torch.set_grad_enabled(trained):
            memory, first = decoder.read(*prompts())
            later = decoder.grow(memory, tokens, depth, sees, store=True)
            more = torch.ones(1, 3, 6, dtype=torch.bool)
            last = decoder.grow(memory, tokens, depth + 3, more, store=False)
            states.append(torch.cat([first[:, None], later, last], 1))
    assert states[0].requires_grad
    np.testing.assert_allclose(states[0].detach(), states[1], rtol=1e-4, atol=1e-5)


@both
def test_probabilities_over_the_catalogue_sum_to_one(kind):
    scores = exhaustive_scores(
        decoder_of(kind), *prompts(), ItemTrie.build(CATALOGUE, END), "catalogue"
    )
    np.testing.assert_allclose(scores.exp().sum(1), 1, rtol=1e-5)


@both
def test_forced_tokens_can_be_left_out_over_the_catalogue(kind):
    trie = ItemTrie.build(CATALOGUE, END)
    whole = exhaustive_scores(decoder_of(kind), *prompts(), trie, "catalogue")
    short = exhaustive_scores(decoder_of(kind), *prompts(), trie.shortest(), "catalogue")
    np.testing.assert_allclose(whole, short, rtol=1e-4, atol=1e-4)
    assert len(trie.shortest()) < len(trie)


@given(catalogues, st.integers(1, 5))
def test_chunks_hold_every_inner_node_once_and_all_its_ancestors(sequences, size):
    trie = ItemTrie.build(sequences, END)
    met = []
    for nodes, sees in chunks(trie, size):
        nodes = nodes.tolist()
        for index, node in enumerate(nodes):
            seen = {nodes[i] for i in torch.nonzero(sees[index])[:, 0].tolist()}
            line = set()
            while node:
                line.add(node)
                node = int(trie.parent[node])
            assert seen == line
        met += nodes[-size:] if len(nodes) > size else nodes
    inner = [n for n in range(1, len(trie)) if trie.n_children[n]]
    assert set(met) == set(inner)


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=15)
@given(sequences=catalogues, over=st.sampled_from(["vocabulary", "catalogue"]), data=st.data())
def test_beams_as_wide_as_the_catalogue_give_the_exhaustive_ranking(kind, sequences, over, data):
    """Over one item, items that begin one another, the empty sequence, any set of seen items."""
    trie, n = ItemTrie.build(sequences, END), len(sequences)
    seen = torch.tensor(
        data.draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=3, max_size=3))
    )
    scores = exhaustive_scores(decoder_of(kind), *prompts(), trie, over)
    beams = beam_search(decoder_of(kind), *prompts(), trie, n, seen, over)
    expected, order = scores.masked_fill(seen, -torch.inf).sort(descending=True)
    order = order.masked_fill(expected == -torch.inf, -1)
    np.testing.assert_allclose(beams.scores, expected, rtol=1e-4, atol=1e-4)
    assert (beams.items == order).all()


@both
@pytest.mark.parametrize("width", [1, 3, 5])
def test_every_narrow_beam_is_an_unseen_item_with_its_exact_score(kind, width):
    trie = ItemTrie.build(CATALOGUE, END)
    seen = torch.zeros(3, len(CATALOGUE), dtype=torch.bool)
    seen[0, [3, 4]] = seen[1, 4:] = seen[2, :8] = True
    scores = exhaustive_scores(decoder_of(kind), *prompts(), trie)
    beams = beam_search(decoder_of(kind), *prompts(), trie, width, seen)
    for row in range(3):
        items = [i for i in beams.items[row].tolist() if i >= 0]
        assert len(items) == len(set(items)) == min(width, int((~seen[row]).sum()))
        assert not seen[row, items].any()
        np.testing.assert_allclose(beams.scores[row, : len(items)], scores[row, items], rtol=1e-4)


@both
@pytest.mark.parametrize("width", [2, 4])
@either
def test_hugging_face_finds_the_same_items_with_the_same_log_probabilities(kind, width, over):
    """`generate` with prefix_allowed_tokens_fn at the same width. Items 1 and 4 are seen; over the
    catalogue none, as transformers would share out the probability of what it may not write."""
    trie, hidden = ItemTrie.build(CATALOGUE, END), (1, 4) if over == "vocabulary" else ()
    allowed = allowed_in([s for item, s in enumerate(CATALOGUE) if item not in hidden])
    seen = torch.zeros(3, len(CATALOGUE), dtype=torch.bool)
    seen[:, list(hidden)] = True
    beams = beam_search(decoder_of(kind), *prompts(), trie, width, seen, over)
    for row, (tokens, mask) in enumerate(zip(*prompts())):
        prompt = tokens[mask]
        start = len(prompt) if kind == "causal" else 1
        out = MODELS[kind]().generate(
            input_ids=prompt[None],
            attention_mask=torch.ones_like(prompt)[None],
            num_beams=width,
            num_return_sequences=width,
            max_new_tokens=trie.max_depth,
            length_penalty=0.0,
            do_sample=False,
            renormalize_logits=over == "catalogue",
            prefix_allowed_tokens_fn=lambda _, s, start=start: allowed(s[start:].tolist()) or [END],
            return_dict_in_generate=True,
            output_scores=True,
        )
        generated = [tuple(t for t in s[start:].tolist() if t > END) for s in out.sequences]
        assert [CATALOGUE[i] for i in beams.items[row].tolist()] == generated
        np.testing.assert_allclose(beams.scores[row], out.sequences_scores, rtol=1e-4, atol=1e-5)


@both
def test_unconstrained_beams_that_spell_no_item_count_for_nothing(kind):
    """All sequences of one token are items but two: the beams are the best tokens, two of them
    in vain, and one more that the user has seen."""
    decoder, catalogue = decoder_of(kind), [(t,) for t in range(4, 12)]
    trie = ItemTrie.build(catalogue)
    _, states = decoder.read(*prompts())
    order = (states @ decoder.output.T).argsort(1, descending=True)
    seen = torch.zeros(3, 8, dtype=torch.bool)
    seen[:, 0] = True
    beams = unconstrained_search(decoder, *prompts(), trie, 12, seen=seen)
    expected = [[t - 4 for t in row if t > 4] for row in order.tolist()]
    assert [[i for i in row if i >= 0] for row in beams.items.tolist()] == expected


@both
def test_unconstrained_and_wide_enough_finds_what_the_trie_finds(kind):
    catalogue = [(2, 3), (2,), (5, 6)]
    trie, decoder = ItemTrie.build(catalogue, END), decoder_of(kind)
    free = unconstrained_search(decoder, *prompts(), trie, 2000, END)
    held = beam_search(decoder, *prompts(), trie, 3)
    for row in range(3):
        is_item = free.items[row] >= 0
        assert free.items[row][is_item].tolist() == held.items[row].tolist()
        np.testing.assert_allclose(free.scores[row][is_item], held.scores[row], rtol=1e-4)


def free_beams(kind, prompt, width, depth, ends):
    """The `width` best sequences that end, as (log-probability, tokens), best first: a plain search
    over all tokens, one forward pass for each beam."""
    running, ended = [(0.0, ())], []
    for _ in range(depth):
        longer = [
            (score + step, (*tokens, token))
            for score, tokens in running
            for token, step in enumerate(
                teacher_forced(kind, prompt, [*tokens, END])[-1].log_softmax(0).tolist()
            )
        ]
        longer.sort(reverse=True)
        ended += [beam for beam in longer[:width] if ends(beam[1])]
        ended = sorted(ended, reverse=True)[:width]
        running = [beam for beam in longer if not ends(beam[1])][:width]
    return ended


PAIRS = [(a, b) for a in range(12) for b in range(a % 2, 12, 2)]  # that are both odd or even


@pytest.mark.parametrize(
    ("kind", "end", "catalogue", "depth"),
    [
        ("causal", END, [(3, 5), (2,), (8, 5), (11, 10), (7,)], 3),
        ("causal", None, PAIRS, 2),
        ("t5", None, PAIRS, 2),
    ],
)
def test_unconstrained_beams_are_lost_to_non_items_and_seen_items(kind, end, catalogue, depth):
    """The best item that free beams find has been seen; the catalogue is not all that they find."""
    width, trie, decoder = 4, ItemTrie.build(catalogue, end), decoder_of(kind)
    item_tokens = [s if end is None else (*s, end) for s in catalogue]
    assert trie.max_depth == depth

    def ends(tokens):
        return tokens in item_tokens if end is None else tokens[-1] == end

    seen = torch.zeros(3, len(catalogue), dtype=torch.bool)
    expected = np.full((3, width), -1), np.full((3, width), -np.inf)
    for row, (tokens, mask) in enumerate(zip(*prompts())):
        beams = free_beams(kind, tokens[mask].tolist(), width, depth, ends)
        items = [item_tokens.index(s) if s in item_tokens else -1 for _, s in beams]
        seen[row, next(item for item in items if item >= 0)] = True
        expected[0][row, : len(beams)] = [-1 if i < 0 or seen[row, i] else i for i in items]
        expected[1][row, : len(beams)] = [score for score, _ in beams]
    held = beam_search(decoder, *prompts(), trie, width, seen)
    assert (expected[0] < 0).any(1).all()
    assert (expected[0] >= 0).any()
    assert (np.isin(expected[0], held.items) | (expected[0] < 0)).all()

    beams = unconstrained_search(decoder, *prompts(), trie, width, end, seen)
    np.testing.assert_array_equal(beams.items, expected[0])
    np.testing.assert_allclose(beams.scores, expected[1], rtol=1e-4)
    scores = catalogue_scores(decoder, *prompts(), trie, seen, "unconstrained", width, end=end)
    entered = np.full(scores.shape, NOT_FOUND)
    for row, item in np.argwhere(expected[0] >= 0):
        entered[row, expected[0][row, item]] = expected[1][row, item]
    np.testing.assert_allclose(scores, entered, rtol=1e-4)
