"""Patches of RecBole's data classes: our reader, exact times, no pickles."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from llm4rec_recbole.data.splits import PROTOCOLS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.import_hook import override, override_global, patch, wrap


@patch("recbole.data.dataset.dataset", upstream="none: every row of `.item` is a candidate")
def leave_out_items_without_interactions(module: ModuleType) -> None:
    """With `item_candidates: interacted`, drop the rows of items that no interaction has. They
    are dropped before items are numbered. So rankings, samplers and losses never have them."""

    def leave_out(self: Any) -> None:
        if self.config["item_candidates"] != "interacted" or self.item_feat is None:
            return
        interacted = self.item_feat[self.iid_field].isin(self.inter_feat[self.iid_field])
        self.items_left_out += int((~interacted).sum())
        self.item_feat = self.item_feat[interacted].reset_index(drop=True)

    @wrap(module.Dataset)
    def _data_filtering(filter_data: Any, self: Any) -> None:
        filter_data(self)
        leave_out(self)  # before a knowledge graph is reduced to what the items link to

    @wrap(module.Dataset)
    def _remap_ID_all(number_tokens: Any, self: Any) -> None:
        leave_out(self)  # benchmark parts are not filtered
        number_tokens(self)

    module.Dataset.items_left_out = 0


@patch("recbole.data.dataset.dataset", upstream="RecBole #2204")
def exact_times(module: ModuleType) -> None:
    """Keep the time field in float64: float32 rounds today's Unix times to multiples of 128 s.

    RecBole sorts stably, so equal times stay in file order. A time field that a model also embeds
    as a number (`numerical_features`) has two columns and stays float32.
    """
    import torch

    @wrap(module.Dataset)
    def _dataframe_to_interaction(convert: Any, self: Any, data: Any) -> Any:
        interaction = convert(self, data)
        if self.time_field in data and self.time_field not in self.config["numerical_features"]:
            times = data[self.time_field].to_numpy()  # (rows,), int64 beyond 2^53
            dtype = torch.int64 if times.dtype.kind == "i" else torch.float64
            interaction[self.time_field] = torch.tensor(times, dtype=dtype)
        return interaction


@patch("recbole.data.dataset.dataset", upstream="none: same cause as RecBole #2204")
def stable_duplicate_removal(module: ModuleType) -> None:
    """Keep the first (or last) of repeated interactions by time, then file order. RecBole's sort
    is unstable, so the result is arbitrary for equal times."""

    @wrap(module.Dataset)
    def _remove_duplication(remove: Any, self: Any) -> None:
        which = self.config["rm_dup_inter"]
        if which is None or self.time_field not in self.inter_feat:
            return remove(self)
        self.inter_feat = self.inter_feat.sort_values(self.time_field, kind="stable")
        self.inter_feat = self.inter_feat.drop_duplicates(
            [self.uid_field, self.iid_field], keep=which
        )


@patch("recbole.data.dataset.dataset", upstream="none: chained assignment is a no-op in pandas 3")
def missing_values(module: ModuleType) -> None:
    """Fill missing tokens with the pad, numbers with the mean, sequences with an empty array."""
    import numpy as np

    @override(module.Dataset)
    def _fill_nan(self: Any) -> None:
        FeatureType = module.FeatureType
        for feat in (getattr(self, name) for name in self.feat_name_list):
            for field in feat:
                kind = self.field2type[field]
                if kind in (FeatureType.TOKEN, FeatureType.FLOAT):
                    if feat[field].isna().any():
                        mean = 0 if kind == FeatureType.TOKEN else feat[field].mean()
                        feat[field] = feat[field].fillna(mean)
                else:
                    dtype = np.int64 if kind == FeatureType.TOKEN_SEQ else np.float64
                    empty = np.array([], dtype=dtype)
                    feat[field] = [empty if isinstance(x, float) else x for x in feat[field]]


@patch("recbole.data.dataset.dataset", upstream="none: pandas drops broken rows without a message")
def read_atomic_files(module: ModuleType) -> None:
    """Read atomic files with data/atomic.py, which checks them and reports the bad line. pandas
    reads tokens such as "NA" as missing and stops at an empty cell of a sequence column."""
    import numpy as np

    from llm4rec_recbole.data import stored_log
    from llm4rec_recbole.data.atomic import read_atomic
    from llm4rec_recbole.data.atomic_format import AtomicFormat
    from llm4rec_recbole.data.dataset_files import DatasetFiles, needs_times

    pass

    @wrap(module.Dataset)
    def _load_data(load_as_recbole: Any, self: Any, token: str, dataset_path: str) -> None:
        DatasetFiles.of(self.config).check(timed=needs_times(self.config))
        load_as_recbole(self, token, dataset_path)

    @override(module.Dataset)
    def _load_feat(self: Any, filepath: str, source: Any) -> Any:
        load, unload = self._get_load_and_unload_col(source)
        if load == set():
            return None
        table = stored_rows(self, filepath, source)
        if table is None:
            table = read_atomic(filepath, AtomicFormat.of(self.config))
        frame = table.frame(
            lambda field: (load is None or field in load) and field not in (unload or ())
        )
        for field in frame:
            kind = table.types[field]
            if source != "link":
                self.field2source[field] = source
                self.field2type[field] = module.FeatureType(kind)
                if not kind.endswith("seq"):
                    self.field2seqlen[field] = 1
                if "float" in kind:
                    self.field2bucketnum[field] = 2
            if kind.endswith("seq"):
                frame[field] = sequences(self, frame[field], kind)
                longest = max(map(len, frame[field]))
                limit = (self.config["seq_len"] or {}).get(field, longest)
                if limit < longest:
                    frame[field] = [sequence[:limit] for sequence in frame[field]]
                self.field2seqlen[field] = min(limit, longest)
        if frame.columns.empty:
            self.logger.warning(f"No columns has been loaded from [{source}]")
            return None
        return frame

    def stored_rows(self: Any, filepath: str, source: Any) -> Any:
        """The rows from which all ids follow, where the interactions are stored in exact order."""
        if source != module.FeatureSource.INTERACTION or not may_use_stored_rows(self):
            return None
        self.stored = stored_log.read(Path(filepath), AtomicFormat.of(self.config))
        return self.stored and self.stored.first_rows

    def sequences(self: Any, cells: Any, kind: str) -> list[np.ndarray]:
        separator, dtype = self.config["seq_separator"], float if kind == "float_seq" else str
        words = [cell.split(separator) for cell in cells.fillna("").tolist()]
        words = [[x for x in row if x] if "" in row else row for row in words]
        flat = np.array([*itertools.chain.from_iterable(words)], dtype=dtype)
        ends = np.cumsum([*map(len, words)]).tolist()
        return [flat[start:end] for start, end in zip([0, *ends], ends)]


def sequence_lengths(module: ModuleType) -> None:
    """Make `series.agg(len)` return the length of each sequence, as RecBole expects. pandas 3
    calls `len` on the whole series, so RecBole's modules get a `len` per element."""
    import pandas as pd

    def element_lengths(value: Any) -> Any:
        return value.map(len) if isinstance(value, pd.Series) else len(value)

    vars(module)["len"] = element_lengths


for _name in ("dataset", "kg_dataset", "sequential_dataset"):
    patch(f"recbole.data.dataset.{_name}", upstream="none: pandas 3")(sequence_lengths)


@patch("recbole.data.dataset.kg_dataset", upstream="none")
def one_entity_for_each_item(module: ModuleType) -> None:
    """Refuse a .link file that gives one entity to two items, or two to one: RecBole numbers items
    and their entities together, and ends in a KeyError."""

    @wrap(module.KnowledgeBasedDataset)
    def _load_link(load: Any, self: Any, token: str, dataset_path: str) -> tuple[dict, dict]:
        item2entity, entity2item = load(self, token, dataset_path)
        if any(entity2item[entity] != item for item, entity in item2entity.items()) or (
            len(item2entity) != len(entity2item)
        ):
            hint = "give each item one entity, and each entity one item"
            file = Path(dataset_path, f"{token}.link")
            raise InputError("items and entities are not one to one", file=file, hint=hint)
        return item2entity, entity2item


@patch("recbole.data.utils", upstream="RecBole #2212")
def no_pickled_data(module: ModuleType) -> None:
    """Refuse to load a data set or data loader from a pickle, which may run any code.

    The options that save one are refused before (config.py).
    """

    def load(file: Any) -> None:
        hint = "remove it: data are read from the atomic files"
        raise InputError("this is a pickle, which is never loaded", file=file.name, hint=hint)

    override_global(module, "pickle", load=load)


# RecBole's data sets over interactions that are stored in exact order (data/stored_log.py).
#
# RecBole processes the first rows of all users and items, which give it all ids. Then its table of
# interactions is replaced by one that makes a column of all rows when it is first read.


#: Options by which other rows or values of interactions than the file's would be used.
_CHANGES = (
    *("rm_dup_inter", "val_interval", "threshold", "normalize_field", "normalize_all"),
    *("discretization", "numerical_features", "additional_feat_suffix", "benchmark_filename"),
    *("alias_of_user_id", "alias_of_item_id"),
)
_INTERVALS = ("user_inter_num_interval", "item_inter_num_interval")
_KINDS = ("Dataset", "SequentialDataset", "WindowDataset")


def may_use_stored_rows(dataset: Any) -> bool:
    """Whether a data set uses all rows of the interactions' file as they are."""
    config = dataset.config
    return (
        dataset.reads_stored
        and config["protocol"] in PROTOCOLS
        and type(dataset).__name__ in _KINDS
        and not any(config[option] for option in _CHANGES)
        and all(config[option] in (None, "[0,inf)") for option in _INTERVALS)
    )


def use_stored_rows(dataset: Any) -> bool:
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
