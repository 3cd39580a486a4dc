"""Speed: the same numbers from fused kernels, and no hidden debugging mode."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import mends


@mends("recbole.model.sequential_recommender.sine", upstream="none")
def no_anomaly_detection(module: ModuleType) -> None:
    """SINE's module turns autograd's anomaly detection on for the whole process when imported.

    RecBole imports it with every model, so each backward pass of each model is checked for NaN
    op by op.
    """
    import torch

    torch.autograd.set_detect_anomaly(False)


@mends("recbole.model.layers", upstream="none")
def fused_attention(module: ModuleType) -> None:
    """RecBole's multi-head attention from one projection and PyTorch's fused kernel."""
    import torch
    from torch.nn import functional

    def forward(self: Any, input_tensor: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        B, T, d = input_tensor.shape
        h = self.num_attention_heads
        projections = (self.query, self.key, self.value)
        weight = torch.cat([linear.weight for linear in projections])  # (3d, d)
        bias = torch.cat([linear.bias for linear in projections])  # (3d,)
        heads = functional.linear(input_tensor, weight, bias).view(B, T, 3, h, d // h)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, h, T, d / h) each
        context = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=attention_mask.to(q.dtype).expand(B, 1, T, T),
            dropout_p=self.attn_dropout.p if self.training else 0.0,
        )
        hidden = self.dense(context.transpose(1, 2).reshape(B, T, d))  # (B, T, d)
        return self.LayerNorm(self.out_dropout(hidden) + input_tensor)

    module.MultiHeadAttention.forward = forward


@mends("recbole.model.layers", upstream="none")
def fused_gelu(module: ModuleType) -> None:
    """RecBole writes the exact GELU as five elementwise operations; PyTorch has it as one."""
    from torch.nn import functional

    module.FeedForward.gelu = lambda self, x: functional.gelu(x)


@mends("recbole.model.sequential_recommender.bert4rec", upstream="none")
def fused_cloze_loss(module: ModuleType) -> None:
    """BERT4Rec's full cross-entropy without logits for positions that are no targets.

    RecBole computes the logits of every slot of every row, used or not, and keeps them all.
    """
    loss_as_recbole = module.BERT4Rec.calculate_loss

    def calculate_loss(self: Any, interaction: Any) -> Any:
        if self.loss_type != "CE":
            return loss_as_recbole(self, interaction)
        from llm4rec_recbole.training.losses import full_cross_entropy

        positions = interaction[self.MASK_INDEX]  # (B, M), 0 where unused
        rows, slots = (positions > 0).nonzero(as_tuple=True)  # (targets,) each
        states = self.forward(interaction[self.MASK_ITEM_SEQ])  # (B, L, d)
        return full_cross_entropy(
            states[rows, positions[rows, slots]],
            self.item_embedding.weight[: self.n_items],
            interaction[self.POS_ITEMS][rows, slots],
            self.output_bias,
        )

    module.BERT4Rec.calculate_loss = calculate_loss
