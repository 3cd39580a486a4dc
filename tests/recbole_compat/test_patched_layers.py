"""The fused kernels compute what RecBole's own code computes."""

import importlib.util
import inspect
import subprocess
import sys
from collections import defaultdict

import pytest
import torch

import llm4rec_recbole  # noqa: F401


@pytest.fixture(scope="module")
def stock():
    """RecBole's layers as they are in its own file, without patches."""
    import recbole.model.layers as patched

    spec = importlib.util.spec_from_file_location("stock_layers", inspect.getfile(patched))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("mask_shape", [(3, 1, 1, 7), (3, 1, 7, 7)])
def test_attention_and_its_gradients_equal_recboles(stock, mask_shape):
    import recbole.model.layers as patched

    torch.manual_seed(0)
    theirs = stock.MultiHeadAttention(2, 8, 0.0, 0.0, 1e-12)
    ours = patched.MultiHeadAttention(2, 8, 0.0, 0.0, 1e-12)
    ours.load_state_dict(theirs.state_dict())
    assert type(ours).forward is not type(theirs).forward
    x = torch.randn(3, 7, 8)
    mask = torch.where(torch.rand(mask_shape) < 0.3, -10000.0, 0.0)
    outs = [layer(x, mask) for layer in (theirs, ours)]
    torch.testing.assert_close(outs[0], outs[1])
    for out in outs:
        out.square().sum().backward()
    for a, b in zip(theirs.parameters(), ours.parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


def test_gelu_equals_recboles(stock):
    import recbole.model.layers as patched

    x = torch.linspace(-6, 6, 1001)
    ours = patched.FeedForward(4, 8, 0.0, "gelu", 1e-12).gelu(x)
    theirs = stock.FeedForward(4, 8, 0.0, "gelu", 1e-12).gelu(x)
    torch.testing.assert_close(ours, theirs)


def test_importing_recboles_models_leaves_anomaly_detection_off():
    code = (
        "import llm4rec_recbole, torch\n"
        "import recbole.model.sequential_recommender\n"
        "assert not torch.is_anomaly_enabled()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class _Items:
    """As much of a data set as BERT4Rec looks at."""

    item_num = 30

    def num(self, field):
        return 30


def test_cloze_loss_equals_recboles():
    import recbole.model.sequential_recommender.bert4rec as patched

    spec = importlib.util.spec_from_file_location("stock_bert4rec", inspect.getfile(patched))
    stock_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stock_module)
    options = {
        **dict.fromkeys(("n_layers", "n_heads"), 1),
        **{"hidden_size": 8, "inner_size": 8, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
        **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "mask_ratio": 0.4},
        **{"MASK_ITEM_SEQ": "masked", "POS_ITEMS": "pos", "NEG_ITEMS": "neg"},
        **{"MASK_INDEX": "index", "loss_type": "CE", "initializer_range": 0.5},
        **{"MAX_ITEM_LIST_LENGTH": 6, "ITEM_ID_FIELD": "item", "LIST_SUFFIX": "_list"},
        **{"USER_ID_FIELD": "user", "ITEM_LIST_LENGTH_FIELD": "length", "NEG_PREFIX": "neg_"},
    }
    torch.manual_seed(0)
    theirs = stock_module.BERT4Rec(defaultdict(lambda: None, options), _Items())
    ours = patched.BERT4Rec(defaultdict(lambda: None, options), _Items())
    ours.load_state_dict(theirs.state_dict())
    batch = {
        "masked": torch.tensor([[1, 30, 3, 4, 30, 6], [7, 30, 9, 0, 0, 0]]),
        "pos": torch.tensor([[2, 5, 0], [8, 0, 0]]),
        "neg": torch.zeros(2, 3, dtype=torch.long),
        "index": torch.tensor([[1, 4, 0], [1, 0, 0]]),
    }
    losses = [model.calculate_loss(batch) for model in (theirs, ours)]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()
    for (name, a), b in zip(theirs.named_parameters(), ours.parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6, msg=name)
