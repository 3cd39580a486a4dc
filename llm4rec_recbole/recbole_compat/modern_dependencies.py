"""Models: graphs with today's scipy, LightGCN's propagation, `eval` of a model's name."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import mends


@mends("recbole.model", upstream="RecBole #2034, #2090, #2185")
def dok_update(module: ModuleType) -> None:
    """Give scipy's `dok_matrix` back the `_update` that scipy 1.13 dropped.

    LightGCN, NGCF, NCL, GCMC, SpectralCF, KGIN and MCCLK fill their adjacency matrix with it.
    """
    from scipy.sparse import dok_matrix

    def update(self: Any, values: dict[tuple[int, int], float]) -> None:
        self._dict.update(values)

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = update


@mends("recbole.model.general_recommender.lightgcn", upstream="none: a slow backward pass")
def fast_propagation(module: ModuleType) -> None:
    """Multiply by the adjacency matrix in CSR form, and by itself again on the way back.

    The matrix is symmetric, so the gradient needs no transpose. Forward and backward together
    take a fifth of the time of `torch.sparse.mm` on ml-100k, and give the same numbers.
    """
    import torch

    class Adjacency:
        """A symmetric sparse matrix (n, n) that is never changed; torch cannot copy one in CSR."""

        def __init__(self, matrix: torch.Tensor) -> None:
            self.matrix = matrix

        def to(self, device: Any) -> Adjacency:
            return Adjacency(self.matrix.to(device))

        def __deepcopy__(self, memo: dict) -> Adjacency:
            return self

    class Propagate(torch.autograd.Function):
        """A @ x for a symmetric sparse A (n, n) and dense x (n, d)."""

        @staticmethod
        def forward(ctx: Any, adjacency: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            ctx.adjacency = adjacency
            return adjacency @ x

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
            return None, ctx.adjacency @ gradients[0]

    adjacency = module.LightGCN.get_norm_adj_mat

    def get_norm_adj_mat(self: Any) -> Adjacency:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return Adjacency(adjacency(self).coalesce().to_sparse_csr())

    def forward(self: Any) -> tuple[torch.Tensor, ...]:
        layers = [self.get_ego_embeddings()]  # each (n_users + n_items, d)
        for _ in range(self.n_layers):
            layers.append(Propagate.apply(self.norm_adj_matrix.matrix, layers[-1]))
        mean = torch.stack(layers, dim=1).mean(dim=1)
        return torch.split(mean, [self.n_users, self.n_items])

    module.LightGCN.get_norm_adj_mat = get_norm_adj_mat
    module.LightGCN.forward = forward


@mends("recbole.model.context_aware_recommender.kd_dagfm", upstream="none")
def teacher_by_name(module: ModuleType) -> None:
    """Look KD_DAGFM's teacher up by name; RecBole passes the option through `eval`."""

    def teacher(name: str) -> type:
        found = vars(module).get(name)
        if not isinstance(found, type):
            raise InputError(f"there is no teacher {name}", hint="see properties/model/KD_DAGFM")
        return found

    vars(module)["eval"] = teacher


@mends("recbole.model.general_recommender.pop", upstream="none")
def count_every_interaction(module: ModuleType) -> None:
    """Pop adds 1 to `item_cnt[items]`: an item that a batch holds ten times is counted once.

    (It also counts the sampled negatives, unless `train_neg_sample_args` is empty, as it is in
    properties/model/Pop.yaml.)
    """
    import torch

    def calculate_loss(self: Any, interaction: Any) -> Any:
        items = interaction[self.ITEM_ID]
        self.item_cnt.index_add_(0, items, torch.ones_like(items)[:, None])
        self.max_cnt = torch.max(self.item_cnt, dim=0)[0]
        return torch.nn.Parameter(torch.zeros(1)).to(self.device)

    module.Pop.calculate_loss = calculate_loss
