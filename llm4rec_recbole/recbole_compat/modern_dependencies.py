"""Patches that let RecBole run on today's NumPy, SciPy and torch. No number changes."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import override_global, patch


@patch("recbole", upstream="RecBole PR #2203")
def restore_numpy_names(module: ModuleType) -> None:
    """Define `numpy.float` and `numpy.str`, which RecBole uses and NumPy 2 removed."""
    import numpy as np

    vars(np).setdefault("float", float)
    vars(np).setdefault("str", str)


@patch("recbole.config.configurator", upstream="RecBole PR #2203")
def skip_numpy_aliases(module: ModuleType) -> None:
    """Skip the eight NumPy aliases that RecBole sets from names that NumPy 2 removed."""
    module.Config.compatibility_settings = lambda self: None


@patch("recbole.model", upstream="RecBole #2034, #2090, #2185")
def restore_dok_update(module: ModuleType) -> None:
    """Define `dok_matrix._update`, which SciPy 1.13 removed.

    LightGCN, NGCF, NCL, GCMC, SpectralCF, KGIN and MCCLK fill their adjacency matrix with it.
    """
    from scipy.sparse import dok_matrix

    def update(self: Any, values: dict[tuple[int, int], float]) -> None:
        self._dict.update(values)

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = update


@patch("recbole.trainer.trainer", upstream="none: torch.cuda.amp is deprecated")
def use_torch_amp(module: ModuleType) -> None:
    """Scale gradients through `torch.amp`; the old name prints a warning in each epoch."""
    import torch

    scaler, autocast = torch.amp.GradScaler, torch.amp.autocast
    override_global(
        module, "amp", GradScaler=partial(scaler, "cuda"), autocast=partial(autocast, "cuda")
    )


@patch("recbole.evaluator.evaluator", upstream="none: NumPy 2 prints np.float64(0.5) for 0.5")
def metrics_as_floats(module: ModuleType) -> None:
    """Return metrics as Python floats, which JSON accepts."""
    evaluate = module.Evaluator.evaluate

    def evaluate_as_floats(self: Any, dataobject: Any) -> dict[str, float]:
        return {name: float(value) for name, value in evaluate(self, dataobject).items()}

    module.Evaluator.evaluate = evaluate_as_floats
