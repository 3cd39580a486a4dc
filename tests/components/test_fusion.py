"""Eqs. (1), (3)–(6) against loops over items, and what an item may lack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from llm4rec_recbole.components.fusion.fusion import (
    MultimodalFusion,
    attended,
    cross_modal_attention,
    fuse,
    modality_weights,
)
from llm4rec_recbole.components.fusion.item_content import ItemContent, item_content, whitened
from llm4rec_recbole.errors import InputError

RANDOM = np.random.default_rng(0)
D, N_ITEMS = 6, 7


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max()) if len(x) else x
    return e / e.sum()


def content(**without: bool) -> ItemContent:
    """Seven items: the pad; 1 and 2 with everything; 3 no text; 4 no categories; 5 no numbers; 6
    nothing. Years 1990 to 1999, a second number for items 1 and 4 only."""
    random = np.random.default_rng(1)
    text = random.normal(size=(N_ITEMS, 5)).astype(np.float32)
    hot = random.random((N_ITEMS, 4)) < 0.6
    hot[[1, 2, 3, 5], 0] = True
    numbers = np.stack([np.arange(1990.0, 1990 + N_ITEMS), random.normal(size=N_ITEMS)], 1)
    numbers[[2, 3], 1] = np.nan
    text[[0, 3, 6]], hot[[0, 4, 6]], numbers[[0, 5, 6]] = 0, False, np.nan
    if without.get("text"):
        text[:] = 0
    if without.get("categories"):
        hot[:] = False
    if without.get("numbers"):
        numbers[:] = np.nan
    return item_content(text, hot, numbers, np.arange(N_ITEMS) > 0)


def fusion(of: ItemContent, seed: int = 0) -> MultimodalFusion:
    torch.manual_seed(seed)
    made = MultimodalFusion(of, D, text_tokens=3).eval()
    torch.nn.init.normal_(made.w)
    return made


def test_a_text_whose_vector_has_a_zero_is_a_text() -> None:
    of = content()
    of.text[1, 2] = 0
    _, there = fusion(of).encoders["text"](torch.tensor([1, 3]))
    assert there.all(1).tolist() == [True, False]


def test_eq01_each_encoder_is_its_formula() -> None:
    of = content()
    made = fusion(of)
    text, categories, numbers = made.encoders.values()
    w, b = (p.detach().numpy() for p in (text.read.weight, text.read.bias))
    white = whitened(of.text.numpy(), of.text.shape[1])
    expected = np.stack([w[t * D : t * D + D] @ white[1] + b[t * D :][:D] for t in range(3)])
    np.testing.assert_allclose(text(torch.tensor([1]))[0][0].detach(), expected, rtol=1e-5)
    tokens, there = categories(torch.tensor([2]))
    ids = of.categories[2]
    np.testing.assert_array_equal(
        tokens[0][there[0]].detach(), categories.embedding.weight[ids[ids > 0]].detach()
    )
    x, a, o = of.numbers[4, 1].item(), numbers.direction[1], numbers.offset[1]
    one = numbers.map(torch.nn.functional.gelu(x * a + o))
    torch.testing.assert_close(numbers(torch.tensor([4]))[0][0, 1], one)


def test_eq03_cross_modal_attention() -> None:
    query, keys = RANDOM.normal(size=(4, D)), RANDOM.normal(size=(4, 5, D))
    there = RANDOM.random((4, 5)) < 0.7
    there[3] = False
    expected = np.zeros((4, 5))
    for item in range(3):
        scores = np.array([query[item] @ k / np.sqrt(D) for k in keys[item][there[item]]])
        expected[item, there[item]] = softmax(scores)
    got = cross_modal_attention(*map(torch.from_numpy, (query, keys, there)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_eq04_attended() -> None:
    attention, values = RANDOM.random((4, 5)), RANDOM.normal(size=(4, 5, D))
    expected = [sum(a * v for a, v in zip(*row)) for row in zip(attention, values)]
    got = attended(torch.from_numpy(attention), torch.from_numpy(values))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_eq05_fuse() -> None:
    weights, vectors, mixed = (
        RANDOM.random((4, 3)),
        RANDOM.normal(size=(4, 3, D)),
        RANDOM.normal(size=(4, D)),
    )
    expected = [
        sum(w * h for w, h in zip(weights[i], vectors[i])) + 0.3 * mixed[i] for i in range(4)
    ]
    got = fuse(
        *map(torch.from_numpy, (weights, vectors, mixed)), torch.tensor(0.3, dtype=torch.double)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_eq06_modality_weights() -> None:
    vectors, w = RANDOM.normal(size=(4, 3, D)), RANDOM.normal(size=(3, D))
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    expected = np.zeros((4, 3))
    for item in range(3):
        e = [np.exp(w[m] @ vectors[item, m]) for m in range(3)]
        total = sum(e[m] for m in range(3) if present[item, m])
        expected[item] = [e[m] / total * present[item, m] for m in range(3)]
    got = modality_weights(*map(torch.from_numpy, (vectors, w, present)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("item", range(N_ITEMS))
def test_the_whole_is_the_equations_one_after_another(item: int) -> None:
    of = content()
    made = fusion(of)
    parts = [
        [t.detach().numpy()[0] for t in e(torch.tensor([item]))] for e in made.encoders.values()
    ]
    tokens = [t[there] for t, there in parts]
    weight = lambda layers, m: layers[m].weight.detach().numpy()  # noqa: E731
    h = np.zeros((3, D))
    for m, own in enumerate(tokens):
        if len(own):
            mean = own.mean(0)
            attended = mean.copy()
            for n, other in enumerate(tokens):
                if n != m and len(other):
                    k, v = other @ weight(made.key, n).T, other @ weight(made.value, n).T
                    attended += softmax(k @ (weight(made.query, m) @ mean) / np.sqrt(D)) @ v
            h[m] = (attended - attended.mean()) / np.sqrt(attended.var() + 1e-5)
    present = [m for m in range(3) if len(tokens[m])]
    expected = np.zeros(D)
    if present:
        w = made.w.detach().numpy()
        alpha = softmax(np.array([w[m] @ h[m] for m in present]))
        mixed = made.mlp(torch.from_numpy(h.reshape(-1)).float()).detach().numpy()
        expected = sum(a * h[m] for a, m in zip(alpha, present)) + made.beta.item() * mixed
    got = made(torch.tensor([item]))[0].detach()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_our_own_maths() -> None:
    there = torch.tensor([[True, True, False], [False, False, False]])

    def chain(
        query: torch.Tensor, keys: torch.Tensor, w: torch.Tensor, beta: torch.Tensor
    ) -> torch.Tensor:
        vectors = torch.stack([attended(cross_modal_attention(query, keys, there), keys), query], 1)
        present = torch.stack([there.any(1), there.any(1)], 1)
        return fuse(modality_weights(vectors, w, present), vectors, keys.sum(1), beta)

    inputs = [torch.randn(shape, dtype=torch.double) for shape in ((2, D), (2, 3, D), (2, D), ())]
    assert gradcheck(chain, [x.requires_grad_() for x in inputs])


def test_an_item_depends_on_itself_alone() -> None:
    made = fusion(content())
    torch.testing.assert_close(made()[[5, 2]], made(torch.tensor([5, 2])))
    torch.testing.assert_close(made(torch.tensor([2]))[0], made()[2])


def test_the_pad_and_an_item_of_which_nothing_is_known_are_zero() -> None:
    assert not fusion(content())()[[0, 6]].any()
    assert fusion(content())()[1:6].any(1).all()


def test_what_an_item_lacks_gets_no_weight() -> None:
    _, weights, present = fusion(content()).summands()
    np.testing.assert_array_equal(present[3:6], [[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert not weights[~present].any()
    torch.testing.assert_close(weights[1:6].sum(1), torch.ones(5))


@pytest.mark.parametrize("lacking", ["text", "categories", "numbers"])
def test_a_data_set_may_lack_a_modality(lacking: str) -> None:
    made = fusion(content(**{lacking: True}))
    assert lacking not in made.modalities
    assert len(made.modalities) == 2
    assert made.mlp[0].in_features == 2 * D
    assert made()[1].any()


def test_missing_content_of_a_data_set_is_reported() -> None:
    with pytest.raises(InputError, match="nothing to fuse"):
        fusion(content(text=True, categories=True, numbers=True))


def test_attention_is_asymmetric_and_learns() -> None:
    made = fusion(content()).train()
    made()[1:6].square().sum().backward()
    for layers in (made.query, made.key, made.value):
        for layer in layers:
            assert layer.weight.grad.abs().sum() > 0
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


def test_content_is_not_part_of_a_checkpoint() -> None:
    assert not {"text", "categories", "numbers"} & {
        k.split(".")[-1] for k in fusion(content()).state_dict()
    }
