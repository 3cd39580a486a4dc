"""The option `item_candidates`: whether items that occur only in `.item` take part."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import patch


@patch("recbole.data.dataset.dataset", upstream="none: every row of `.item` is a candidate")
def leave_out_items_without_interactions(module: ModuleType) -> None:
    """With `item_candidates: interacted`, drop the rows of items that no interaction has.

    They are dropped before items are numbered. So rankings, samplers and losses never have them.
    """
    filter_data, number_tokens = module.Dataset._data_filtering, module.Dataset._remap_ID_all

    def leave_out(self: Any) -> None:
        if self.config["item_candidates"] != "interacted" or self.item_feat is None:
            return
        interacted = self.item_feat[self.iid_field].isin(self.inter_feat[self.iid_field])
        self.items_left_out += int((~interacted).sum())
        self.item_feat = self.item_feat[interacted].reset_index(drop=True)

    def data_filtering(self: Any) -> None:
        filter_data(self)
        leave_out(self)  # before a knowledge graph is reduced to what the items link to

    def remap_all(self: Any) -> None:
        leave_out(self)  # benchmark parts are not filtered
        number_tokens(self)

    module.Dataset.items_left_out = 0
    module.Dataset._data_filtering = data_filtering
    module.Dataset._remap_ID_all = remap_all
