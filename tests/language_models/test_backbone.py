"""The language model over soft tokens: what learns, and what each position sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from llm4rec_recbole.language_models.backbone import Backbone, causal_mask
from llm4rec_recbole.language_models.compute_dtype import compute_dtype
from llm4rec_recbole.language_models.load import add_lora, load_language_model


@pytest.fixture
def pretrained(tmp_path: Path) -> str:
    """A folder that holds a small model, as any pretrained one is given."""
    torch.manual_seed(0)
    model, tokenizer = load_language_model("scratch-32x2", dtype=torch.float32)
    model.save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    return str(tmp_path / "lm")


def backbone(name: str, **options) -> Backbone:
    given = {"layers": 1, "d": 8, "rank": 2, "dropout": 0.0, "dtype": torch.float32}
    return Backbone(name, **given | options)


def tokens(n: int, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mask = torch.ones(n, length, dtype=torch.int64)
    return torch.randn(n, length, 8), mask, mask.cumsum(1) - 1


def test_only_lora_and_the_maps_around_it_learn(pretrained: str) -> None:
    model = backbone(pretrained)
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    of_body = {name for name in learned if name.startswith("body.")}
    assert of_body
    assert all("lora_" in name for name in of_body)
    assert {"in_proj.weight", "out_proj.weight"} <= learned
    frozen = backbone(pretrained, rank=0)
    assert not [
        n for n, p in frozen.named_parameters() if n.startswith("body.") and p.requires_grad
    ]


def test_lora_learns_in_float32_whatever_the_arithmetic(pretrained: str) -> None:
    model = backbone(pretrained, dtype=torch.bfloat16)
    types = {p.dtype for name, p in model.named_parameters() if p.requires_grad}
    assert types == {torch.float32}
    assert model.body.layers[0].self_attn.q_proj.base_layer.weight.dtype == torch.bfloat16
    model(*tokens(2, 3)).sum().backward()


def test_a_model_from_scratch_learns_whole() -> None:
    model = backbone("scratch-32x1")
    assert all(p.requires_grad for name, p in model.named_parameters() if "body." in name)


def test_starts_as_the_pretrained_model_and_no_position_sees_a_later_one(pretrained: str) -> None:
    torch.manual_seed(1)
    model = backbone(pretrained).eval()
    x, mask, positions = tokens(2, 5)
    states = model(x, mask, positions)
    changed = x.clone()
    changed[:, 3:] += 1
    later = model(changed, mask, positions)
    torch.testing.assert_close(states[:, :3], later[:, :3])
    assert not torch.allclose(states[:, 3:], later[:, 3:], atol=1e-3)


def test_padding_changes_nothing(pretrained: str) -> None:
    torch.manual_seed(2)
    model = backbone(pretrained).eval()
    x, mask, positions = tokens(1, 5)
    padded = mask.clone()
    padded[:, 3:] = 0
    alone = model(x[:, :3], mask[:, :3], positions[:, :3])
    torch.testing.assert_close(model(x, padded, positions)[:, :3], alone)


def test_the_state_of_one_token_is_that_among_all(pretrained: str) -> None:
    torch.manual_seed(3)
    model = backbone(pretrained, layers=2).eval()
    x, mask, positions = tokens(3, 5)
    mask[0, 3:] = 0
    mask[1, 1] = 0  # as where nothing was retrieved
    position = torch.tensor([2, 4, 0])
    every = model(x, mask, positions)
    one = model(x, mask, positions, position)
    assert one.shape == (3, 1, 8)
    torch.testing.assert_close(one[:, 0], every[torch.arange(3), position])
    torch.testing.assert_close(model(x, mask, positions), every)  # and it is left as it was


def test_the_mask_is_the_one_that_transformers_makes(pretrained: str) -> None:
    torch.manual_seed(4)
    model = backbone(pretrained).eval()
    x, mask, positions = tokens(2, 5)
    mask[0, 2] = 0
    given = {"position_ids": positions, "use_cache": False}
    soft = model.in_proj(x)
    theirs, ours = (
        model.body(inputs_embeds=soft, attention_mask=m, **given).last_hidden_state
        for m in (mask, causal_mask(mask, torch.float32))
    )
    assert torch.equal(theirs, ours)


def test_no_arithmetic_mixes_types(pretrained: str, recwarn: pytest.WarningsRecorder) -> None:
    backbone(pretrained, dtype=torch.bfloat16)(*tokens(2, 3))
    assert not [w for w in recwarn if "dtype" in str(w.message)]


@pytest.mark.parametrize(
    ("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_arithmetic_by_name(name: str, dtype: torch.dtype) -> None:
    assert compute_dtype(name, "cpu") == dtype
    assert compute_dtype("auto", "cuda") == torch.bfloat16


def small_llama(rank: int, dtype: torch.dtype = torch.float32) -> Any:
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    body = LlamaModel(LlamaConfig(vocab_size=9, num_attention_heads=4, **sizes)).to(dtype)
    if rank:
        add_lora(body, rank)
    for name, value in body.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.3)
    return body


def lora_of_peft(body: Any, rank: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    targets = {n.rpartition(".")[2] for n, m in body.named_modules() if isinstance(m, nn.Linear)}
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets), body)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merged_lora_starts_as_that_of_peft_to_the_last_bit(dtype: torch.dtype) -> None:
    bodies, states = [small_llama(0, dtype) for _ in range(2)], []
    for body, add in zip(bodies, (add_lora, lora_of_peft)):
        torch.manual_seed(5)
        add(body, 4)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    ours, theirs = (dict(body.named_parameters()) for body in bodies)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [p.requires_grad for p in ours.values()] == [p.requires_grad for p in theirs.values()]


def test_merged_lora_is_what_peft_computes_with_its_gradients() -> None:
    ours, theirs = small_llama(4), small_llama(0)
    lora_of_peft(theirs, 4)
    theirs.load_state_dict(ours.state_dict())
    tokens, weight = torch.randint(9, (3, 7)), torch.randn(3, 7, 32)
    states = [body(tokens).last_hidden_state for body in (ours, theirs)]
    torch.testing.assert_close(*states, atol=1e-5, rtol=1e-4)
    for of_body in states:
        (of_body * weight).sum().backward()
    learnt = [
        {n: p.grad for n, p in b.named_parameters() if p.requires_grad} for b in (ours, theirs)
    ]
    assert len(learnt[0]) == 28
    torch.testing.assert_close(*learnt, atol=1e-4, rtol=1e-4)


def test_merged_lora_differentiates_its_inputs() -> None:
    layer = small_llama(2).double().layers[0].mlp.down_proj
    for value in layer.parameters():
        value.data = value.data.double()
    x = torch.randn(2, 3, 48, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
