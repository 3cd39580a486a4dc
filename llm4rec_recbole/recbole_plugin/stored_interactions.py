"""RecBole's data sets over interactions that are stored in exact order (data/stored_log.py).

RecBole processes the first rows of all users and items, which give it all ids. Then its table of
interactions is replaced by one that makes a column of all rows when it is first read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS

#: Options by which other rows or values of interactions than the file's would be used.
_CHANGES = (
    *("rm_dup_inter", "val_interval", "threshold", "normalize_field", "normalize_all"),
    *("discretization", "numerical_features", "additional_feat_suffix", "benchmark_filename"),
    *("alias_of_user_id", "alias_of_item_id"),
)
_INTERVALS = ("user_inter_num_interval", "item_inter_num_interval")
_KINDS = ("Dataset", "SequentialDataset", "WindowDataset")


def may_be_used(dataset: Any) -> bool:
    """Whether a data set uses all rows of the interactions' file as they are."""
    config = dataset.config
    return (
        dataset.reads_stored
        and config["protocol"] in PROTOCOLS
        and type(dataset).__name__ in _KINDS
        and not any(config[option] for option in _CHANGES)
        and all(config[option] in (None, "[0,inf)") for option in _INTERVALS)
    )


def use(dataset: Any) -> bool:
    """Give `dataset`, which has processed the first rows, all rows.

    Returns False, and changes nothing, where RecBole dropped one of the first rows, or where a
    column is neither an id nor a number: the rows then say less than the file.
    """
    from llm4rec_recbole.data.lazy_columns import LazyInteraction

    stored, frame = dataset.stored, dataset.inter_feat
    ids = (dataset.uid_field, dataset.iid_field)
    kinds = {name: stored.first_rows.types[name] for name in frame}
    if len(frame) != len(stored.first_rows):
        return False
    if any(kind != ("token" if name in ids else "float") for name, kind in kinds.items()):
        return False
    dataset.stored_log = stored.with_items(dataset.item_num)
    columns: dict[str, Callable[[], Any]] = {
        name: functools.partial(_column, dataset, name, frame[name]) for name in frame
    }
    dataset.inter_feat = LazyInteraction(columns, stored.n_rows)
    return True


def _column(dataset: Any, name: str, of_first_rows: Any) -> Any:
    """The column of all rows as RecBole makes it, (N,)."""
    import numpy as np
    import pandas as pd

    from llm4rec_recbole.data.atomic import read_atomic
    from llm4rec_recbole.data.atomic_format import AtomicFormat

    first_rows = dataset.stored.first_rows
    table = read_atomic(first_rows.path, AtomicFormat.of(dataset.config))
    values = table.frame(lambda field: field == name)[name]
    if first_rows.types[name] == "token":
        of_token = pd.Series(of_first_rows.to_numpy(), first_rows.columns[name].to_pandas())
        codes = values.cat.codes.to_numpy()
        ids = of_token[~of_token.index.duplicated()][values.cat.categories].to_numpy()
        values = pd.Series(ids[codes].astype(np.int64), copy=False)
    return dataset._dataframe_to_interaction(pd.DataFrame({name: values}, copy=False))[name]
