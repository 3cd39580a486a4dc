"""Patches of RecBole's data classes: our reader, exact times, faster rows, no pickles."""

from __future__ import annotations

import itertools
import warnings
from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.machine import reused_memory
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


@patch("recbole.data.interaction", upstream="none: indexes are turned into Python lists")
def fast_rows(module: ModuleType) -> None:
    """Select rows by tensor, as every batch does: five times faster than by list."""
    import numpy as np
    import torch

    @wrap(module.Interaction)
    def __getitem__(pick: Any, self: Any, index: Any) -> Any:
        if isinstance(index, np.ndarray) and index.size:
            index = torch.from_numpy(index)
        if isinstance(index, torch.Tensor):
            index = index.cpu()
            return module.Interaction({name: self[name][index] for name in self})
        return pick(self, index)


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


@patch("recbole.data.dataset.dataset", upstream="none: each step copies each column")
def reuse_memory(module: ModuleType) -> None:
    """Read the files and number the tokens in memory that earlier steps have freed."""

    @wrap(module.Dataset)
    def _from_scratch(load: Any, self: Any) -> None:
        with reused_memory():
            load(self)


@patch("recbole.data.dataset.dataset", upstream="none: pandas drops broken rows without a message")
def read_atomic_files(module: ModuleType) -> None:
    """Read atomic files with data/atomic.py, which checks them and reports the bad line. pandas
    reads tokens such as "NA" as missing and stops at an empty cell of a sequence column."""
    import numpy as np

    from llm4rec_recbole.data.atomic import read_atomic
    from llm4rec_recbole.data.atomic_format import AtomicFormat
    from llm4rec_recbole.data.dataset_files import DatasetFiles, needs_times

    @wrap(module.Dataset)
    def _load_data(load_as_recbole: Any, self: Any, token: str, dataset_path: str) -> None:
        DatasetFiles.of(self.config).check(timed=needs_times(self.config))
        load_as_recbole(self, token, dataset_path)

    @override(module.Dataset)
    def _load_feat(self: Any, filepath: str, source: Any) -> Any:
        load, unload = self._get_load_and_unload_col(source)
        if load == set():
            return None
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
                frame[field] = [sequence[:limit] for sequence in frame[field]]
                self.field2seqlen[field] = min(limit, longest)
        if frame.columns.empty:
            self.logger.warning(f"No columns has been loaded from [{source}]")
            return None
        return frame

    def sequences(self: Any, cells: Any, kind: str) -> list[np.ndarray]:
        separator, dtype = self.config["seq_separator"], float if kind == "float_seq" else str
        words = [[x for x in cell.split(separator) if x] for cell in cells.fillna("").tolist()]
        flat = np.array([word for row in words for word in row], dtype=dtype)
        ends = np.cumsum([len(row) for row in words]).tolist()
        return [flat[start:end] for start, end in zip([0, *ends], ends)]


@patch("recbole.data.dataset.dataset", upstream="none: counts and copies every row to drop none")
def skip_filters_that_drop_nothing(module: ModuleType) -> None:
    """Skip the filters that drop nothing, which RecBole computes on every row.

    With RecBole's default intervals no interaction is counted. The table is copied only if a user
    or item is missing in the user or item table.
    """
    import numpy as np
    import pandas as pd

    def is_in(tokens: pd.Series, others: np.ndarray) -> np.ndarray:
        """Whether each token (N,) is among `others`, (N,) bool; each category is looked up once."""
        if not isinstance(tokens.dtype, pd.CategoricalDtype):
            return tokens.isin(others).to_numpy()
        found = np.append(tokens.cat.categories.isin(others), pd.isna(others).any())
        return np.ones(len(tokens), bool) if found.all() else found[tokens.cat.codes.to_numpy()]

    @wrap(module.Dataset)
    def _filter_by_inter_num(filter_by_inter_num: Any, self: Any) -> None:
        intervals = (self.config[f"{name}_inter_num_interval"] for name in ("user", "item"))
        if any(interval not in (None, "[0,inf)") for interval in intervals):
            filter_by_inter_num(self)

    @wrap(module.Dataset)
    def _reset_index(reset: Any, self: Any) -> None:
        for name in self.feat_name_list:
            if not len(getattr(self, name)):
                rows = {"inter_feat": "interaction", "user_feat": "user", "item_feat": "item"}
                hint = "val_interval, *_inter_num_interval and filter_inter_by_user_or_item decide"
                raise InputError(f"the filters leave no {rows.get(name, name)}", hint=hint)
        reset(self)

    @override(module.Dataset)
    def _filter_inter_by_user_or_item(self: Any) -> None:
        if self.config["filter_inter_by_user_or_item"] is not True:
            return
        present = np.ones(len(self.inter_feat), dtype=bool)
        for feat, field in ((self.user_feat, self.uid_field), (self.item_feat, self.iid_field)):
            if feat is not None:
                present &= is_in(self.inter_feat[field], feat[field].to_numpy())
        if not present.all():
            self.logger.warning(
                f"{int((~present).sum())} of {len(present)} interactions are left out, as "
                f"{self.dataset_name}.item or .user lacks their item or user "
                "(--filter_inter_by_user_or_item=False keeps them)"
            )
            self.inter_feat = self.inter_feat[present]


@patch("recbole.data.dataset.dataset", upstream="none: a Python string for each row")
def number_categories_once(module: ModuleType) -> None:
    """Pass each token of a category column to RecBole once, in the order of first rows. RecBole
    numbers tokens in that order, so the ids are the same as with one token per row."""
    import numpy as np
    import pandas as pd

    from llm4rec_recbole.data.atomic import count_in_order

    @wrap(module.Dataset)
    def _remap(remap_all_rows: Any, self: Any, remap_list: Any) -> None:
        tables: list[Any] = []
        rows: list[Any] = []
        for feat, field, kind in remap_list:
            if isinstance(feat[field].dtype, pd.CategoricalDtype):
                codes = feat[field].cat.codes.to_numpy()  # (rows,), -1 for none
                tokens = feat[field].cat.categories  # (tokens,)
                if (count := count_in_order(codes)) is not None:
                    tokens = tokens[:count]
                else:
                    codes, tokens = pd.factorize(feat[field])
                rows.append((feat, field, codes, len(tables)))
                feat = pd.DataFrame({field: tokens.astype(object)})
            tables.append((feat, field, kind))
        remap_all_rows(self, tables)
        for feat, field, codes, number in rows:
            ids = tables[number][0][field].to_numpy()  # (tokens,)
            if (ids == np.arange(1, len(ids) + 1)).all():
                numbers = np.add(codes, 1, dtype=np.int64)  # the same
            else:
                numbers = np.append(ids, 0)[codes]
            feat[field] = pd.Series(numbers, feat.index, copy=False)


def sequence_lengths(module: ModuleType) -> None:
    """Make `series.agg(len)` return the length of each sequence, as RecBole expects. pandas 3
    calls `len` on the whole series, so RecBole's modules get a `len` per element."""
    import pandas as pd

    def element_lengths(value: Any) -> Any:
        return value.map(len) if isinstance(value, pd.Series) else len(value)

    vars(module)["len"] = element_lengths


for _name in ("dataset", "kg_dataset", "sequential_dataset"):
    patch(f"recbole.data.dataset.{_name}", upstream="none: pandas 3")(sequence_lengths)


@patch("recbole.data.dataset.dataset", upstream="none: a tensor in Python for each row's sequence")
def fast_sequences(module: ModuleType) -> None:
    """Number and pad columns of token sequences at once; ids and rows are RecBole's."""
    import numpy as np
    import torch

    def split(array: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
        cuts = [0, *ends.tolist(), len(array)]
        return [array[start:end] for start, end in itertools.pairwise(cuts)]

    override_global(module, "np", split=split)  # NumPy's takes 5 us for each part
    sequence = module.FeatureType.TOKEN_SEQ

    @override(module.Dataset)
    def _concat_remaped_tokens(self: Any, remap_list: Any) -> Any:
        columns = [feat[field].to_numpy() for feat, field, _ in remap_list]
        kinds = (kind for *_, kind in remap_list)
        tokens = [np.concatenate(c) if k == sequence else c for c, k in zip(columns, kinds)]
        return np.concatenate(tokens), np.cumsum([len(column) for column in tokens])[:-1]

    def padded(rows: np.ndarray, max_length: int) -> torch.Tensor:
        lengths = np.minimum([len(row) for row in rows], max_length)  # (N,)
        ids = np.zeros((len(rows), lengths.max(initial=0)), dtype=np.int64)
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(
            [r[:max_length] for r in rows]
        )
        return torch.from_numpy(ids)

    def shares_memory(tensor: torch.Tensor, column: Any) -> bool:
        array = column.to_numpy()
        return array.dtype != object and np.shares_memory(tensor.numpy(), array)

    @wrap(module.Dataset)
    def _dataframe_to_interaction(convert: Any, self: Any, data: Any) -> Any:
        flat = [field for field in data if self.field2type[field] != sequence]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            converted = convert(self, data[flat])
        columns = {}
        for field in data:
            if field not in flat:
                columns[field] = padded(data[field].to_numpy(), self.field2seqlen[field])
                continue
            columns[field] = converted[field]
            if shares_memory(converted[field], data[field]):
                columns[field] = converted[field].clone()  # pandas' arrays are read-only
        return module.Interaction(columns)


@patch("recbole.data.dataset.sequential_dataset", upstream="none: one Python step for each row")
def fast_augmentation(module: ModuleType) -> None:
    """Build all prefixes of all histories at once; the rows equal RecBole's to the last bit."""
    import numpy as np
    import torch

    @override(module.SequentialDataset)
    def data_augmentation(self: Any) -> None:
        self._aug_presets()
        self._check_field("uid_field", "time_field")
        self.sort(by=[self.uid_field, self.time_field], ascending=True)
        users = self.inter_feat[self.uid_field].numpy()  # (n,)
        rows = np.arange(len(users))
        first = np.maximum.accumulate(np.where(np.diff(users, prepend=-1) != 0, rows, 0))  # (n,)
        targets = torch.from_numpy(rows[first < rows])  # (m,): all but each user's first
        start = torch.from_numpy(np.maximum(first, rows - self.max_item_list_len))[targets]
        length = targets - start  # (m,)

        def histories(values: Any, longest: int) -> Any:
            table = torch.zeros((len(start), longest, *values.shape[1:]), dtype=values.dtype)
            for position in range(longest):
                long_enough = torch.nonzero(length > position).squeeze(1)
                table[long_enough, position] = values[start[long_enough] + position]
            return table  # (m, longest, ...)

        columns = {self.item_list_length_field: length}
        for field in self.inter_feat:
            if field != self.uid_field:
                name = getattr(self, f"{field}_list_field")
                columns[name] = histories(self.inter_feat[field], self.max_item_list_len)
        augmented = self.inter_feat[targets]
        augmented.update(module.Interaction(columns))
        self.inter_feat = augmented


@patch("recbole.data.utils", upstream="RecBole #2212")
def no_pickled_data(module: ModuleType) -> None:
    """Refuse to load a data set or data loader from a pickle, which may run any code.

    The options that save one are refused before (config.py).
    """

    def load(file: Any) -> None:
        hint = "remove it: data are read from the atomic files"
        raise InputError("this is a pickle, which is never loaded", file=file.name, hint=hint)

    override_global(module, "pickle", load=load)
