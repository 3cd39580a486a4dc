"""What Table II's metrics need and RecBole's collector does not collect."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.recbole_compat.import_hook import patch

if TYPE_CHECKING:
    import torch


@patch("recbole.evaluator.collector", upstream="none: RecBole's metrics know ids and counts only")
def collect_features(module: ModuleType) -> None:
    """Collect, for the metrics that name them in `metric_need`:

    data.item_categories  (n_items, C) bool, C = 0 where the data set has none
    data.user_groups      (n_users, A) int64, one column an attribute, -1 = not known
    data.item_novelty     (n_items,) float64, from the training interactions
    rec.users             (U,) int64, the user of each row of `rec.items` and `rec.topk`
    """
    import torch

    data_collect = module.Collector.data_collect
    eval_batch_collect = module.Collector.eval_batch_collect
    get_data_struct = module.Collector.get_data_struct

    def collect_data(self: Any, train_data: Any) -> None:
        data_collect(self, train_data)
        needs = {name for name in _DATA if self.register.need(name)}
        if needs:
            data = _data(self.config, train_data.dataset)
            for name in needs:
                self.data_struct.set(name, data[name])

    def collect_batch(
        self: Any, scores: torch.Tensor, interaction: Any, rows: Any, targets: Any
    ) -> None:
        eval_batch_collect(self, scores, interaction, rows, targets)
        if self.register.need("rec.users"):
            users = interaction[self.config["USER_ID_FIELD"]]
            if len(users) != len(scores):  # sampled ranking: one entry for each candidate
                users = torch.unique_consecutive(users)
            self.data_struct.update_tensor("rec.users", users)

    def get_struct(self: Any) -> Any:
        struct = get_data_struct(self)
        if "rec.users" in self.data_struct:
            del self.data_struct["rec.users"]
        return struct

    module.Collector.data_collect = collect_data
    module.Collector.eval_batch_collect = collect_batch
    module.Collector.get_data_struct = get_struct


_DATA = ("data.item_categories", "data.user_groups", "data.item_novelty")


def _data(config: Any, dataset: Any) -> dict[str, torch.Tensor]:
    import numpy as np
    import torch

    from llm4rec_recbole.evaluation.beyond_accuracy import features
    from llm4rec_recbole.evaluation.metrics import item_novelty

    categories, groups = features(config, dataset)
    columns = np.array([*groups.values()], dtype=np.int64).reshape(len(groups), dataset.user_num)
    users = dataset.inter_feat[dataset.uid_field].numpy().astype(np.int64)
    items = dataset.inter_feat[dataset.iid_field].numpy()
    pairs = np.unique(users * dataset.item_num + items)  # a user counts once for each item
    counts = np.bincount(pairs % dataset.item_num, minlength=dataset.item_num)  # (n_items,)
    return {
        "data.item_categories": torch.from_numpy(categories),
        "data.user_groups": torch.from_numpy(columns.T.copy()),
        "data.item_novelty": torch.from_numpy(item_novelty(counts, len(np.unique(users)))),
    }
