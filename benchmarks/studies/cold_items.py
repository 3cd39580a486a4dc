"""Does content rank items that training never saw?

    python -m benchmarks.studies.cold_items

A random tenth of ml-100k's items loses all its interactions; their titles, genres and years stay.
GenRecFusion, which reads these, and the same model on ids alone learn from the rest, which is split
and stopped early as `loo` does. Then each user's last interaction with a cold item is the target,
from the warm items that the user had before it. Writes cold_items.json and cold_items.md.

Items that never occur in training are negatives of every training step, and a model soon learns to
rank whatever looks like them last. Here both models are trained with cold_items_as_negatives=False.

Two rankings, because they answer two questions. Among the cold items: which of the new ones? Among
all items: would a new one be shown at all, beside those of known popularity?
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import folder
from benchmarks.options import add_training_options, training_options
from benchmarks.report import table
from llm4rec_recbole.analysis.significance import bootstrap_interval, paired_t
from llm4rec_recbole.data.exact_order import exact_order
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.datasets.prepare import read_interactions
from llm4rec_recbole.evaluation.ranking import full_ranks
from llm4rec_recbole.files import write_atomically, write_json

SHARE = 0.1  # of the items
K = 10
MODELS = {"GenRecFusion": ["fusion"], "EnhancedGenRec_none": []}  # name: components
RANKINGS = {"cold": "the cold items", "all": "all items"}
METRICS = {"ndcg": f"NDCG@{K}", "hit": f"HR@{K}", "percentile": "mean percentile of the rank"}


@dataclass(frozen=True, eq=False)
class Query:
    """A user goes on to a cold item; raw tokens."""

    user: str
    warm: list[str]  # had before it, oldest first
    times: list[float]  # of these
    cold: list[str]  # had before it: no candidates
    target: str


@dataclass(frozen=True, eq=False)
class ColdSplit:
    """The cold items, the queries, and how many interactions they took with them."""

    items: list[str]
    queries: list[Query]
    removed: int
    remaining: int


def write_split(source: Path, out: Path, share: float, seed: int) -> ColdSplit:
    """Write the atomic files of `source` to `out`, without the interactions of the cold items.

    Each folder is called as its data set. The items' and users' files are links.
    """
    name = source.name
    log = read_interactions(source / f"{name}.inter")
    n_items = len(log.item_tokens) - 1
    drawn = np.random.default_rng(seed).permutation(n_items)[: max(1, round(share * n_items))]
    cold = np.zeros(n_items + 1, dtype=bool)
    cold[drawn + 1] = True
    with open(source / f"{name}.inter", encoding="utf-8") as file:
        header, *rows = file
    gone = cold[log.items]  # (N,)
    out.mkdir(parents=True)
    remaining = [row for row, leaves in zip(rows, gone, strict=True) if not leaves]
    (out / f"{out.name}.inter").write_text(header + "".join(remaining), encoding="utf-8")
    for kind in ("item", "user"):
        if (source / f"{name}.{kind}").is_file():
            (out / f"{out.name}.{kind}").symlink_to((source / f"{name}.{kind}").resolve())
    queries = {}
    seen: dict[int, list[int]] = {}  # user: rows, oldest first
    for row in exact_order(log.times).tolist():
        before = seen.setdefault(int(log.users[row]), [])
        items = log.items[before]
        if gone[row] and not gone[before].all() and log.items[row] not in items:
            warm = ~cold[items]
            queries[int(log.users[row])] = Query(
                user=log.user_tokens[log.users[row]],
                warm=log.item_tokens[items[warm]].tolist(),
                times=log.times[before][warm].tolist(),
                cold=log.item_tokens[items[~warm]].tolist(),
                target=log.item_tokens[log.items[row]],
            )
        before.append(row)
    tokens = log.item_tokens[cold].tolist()
    return ColdSplit(tokens, [*queries.values()], int(gone.sum()), int((~gone).sum()))


def columns(folder: Path) -> dict[str, list[str]]:
    """All columns of the atomic files in `folder`, by kind, as RecBole's option load_col."""
    found = {}
    for path in sorted(folder.glob(f"{folder.name}.*")):
        with open(path, encoding="utf-8") as file:
            names = file.readline().rstrip("\n").split("\t")
        found[path.suffix[1:]] = [name.partition(":")[0] for name in names]
    return found


def held_out(split: ColdSplit, dataset: Any) -> HeldOut:
    """The queries in the internal ids of a RecBole data set, a row each."""
    lengths = [len(query.warm) for query in split.queries]
    return HeldOut(
        users=_ids(dataset, dataset.uid_field, [query.user for query in split.queries]),
        targets=_ids(dataset, dataset.iid_field, [query.target for query in split.queries]),
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=_ids(dataset, dataset.iid_field, [i for query in split.queries for i in query.warm]),
        times=np.array([time for query in split.queries for time in query.times], dtype=float),
        n_items=dataset.item_num,
    )


def ranks_of(model: Any, split: ColdSplit, dataset: Any) -> dict[str, tuple[Any, Any]]:
    """Rank (U,), 0 the best, and number of candidates (U,) of each query, for each of RANKINGS.

    dataset: what `model` was trained on. Raises RuntimeError where a cold item is in it.
    """
    queries = held_out(split, dataset)
    cold = np.zeros(queries.n_items, dtype=bool)
    cold[_ids(dataset, dataset.iid_field, split.items)] = True
    if cold[dataset.inter_feat[dataset.iid_field].numpy()].any():
        raise RuntimeError("a cold item was trained on")
    model.eval()
    ranks: dict[str, list[np.ndarray]] = {name: [] for name in RANKINGS}
    counts: dict[str, list[np.ndarray]] = {name: [] for name in RANKINGS}
    for rows in np.array_split(np.arange(len(queries)), -(-len(queries) // 256)):
        scores, seen = model.score_histories(queries, rows), queries.seen_mask(rows)
        for row, number in enumerate(rows):
            seen[row, _ids(dataset, dataset.iid_field, split.queries[number].cold)] = True
        for name, left_out in (("cold", seen | ~cold), ("all", seen)):
            ranks[name].append(full_ranks(scores, queries.targets[rows], left_out))
            counts[name].append((~left_out).sum(1))
    return {name: (np.concatenate(ranks[name]), np.concatenate(counts[name])) for name in RANKINGS}


def _ids(dataset: Any, field: str, tokens: list[str]) -> np.ndarray:
    return np.asarray([dataset.field2token_id[field][token] for token in tokens], dtype=np.int64)


def per_query(ranks: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each of METRICS, (U,), of ranks among so many candidates; percentile 0 is best, 1 is last."""
    listed = ranks < K
    return {
        "ndcg": np.where(listed, 1 / np.log2(ranks + 2), 0.0),
        "hit": listed.astype(float),
        "percentile": ranks / np.maximum(counts - 1, 1),
    }


def random_ranking(counts: np.ndarray) -> dict[str, float]:
    """What a random order of so many candidates is worth on average."""
    gains = np.cumsum(1 / np.log2(np.arange(K) + 2))  # (K,)
    listed = np.minimum(counts, K)
    return {
        "ndcg": float((gains[listed - 1] / counts).mean()),
        "hit": float((listed / counts).mean()),
        "percentile": 0.5,
    }


def measure(source: Path, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Train both models on the same split of the data set in `source`; what each makes of it."""
    from llm4rec_recbole.training.experiment import train

    with tempfile.TemporaryDirectory() as place:
        # Not the data set's own name: RecBole reads `ml-100k` from its wheel, whatever data_path.
        name = f"{source.name}-cold"
        split = write_split(source, Path(place) / name, SHARE, seed)
        given = {
            "data_path": place,
            "load_col": columns(Path(place) / name),
            "cold_items_as_negatives": False,
            "checkpoint_dir": str(Path(place) / "checkpoints"),
            "seed": seed,
            "quiet": True,
            "show_progress": False,
        }
        found, seconds = {}, {}
        for model, components in MODELS.items():
            chosen = given | options | {"components": components}
            experiment = train("EnhancedGenRec", name, (), chosen)
            found[model] = ranks_of(experiment.model, split, experiment.data.train.dataset)
            seconds[model] = experiment.trained.train_seconds
    return {
        "dataset": source.name,
        "seed": seed,
        "options": options,
        "cold_items": len(split.items),
        "users": len(split.queries),
        "interactions": {"removed": split.removed, "kept": split.remaining},
        "seconds": seconds,
        "rankings": {name: _compared({m: found[m][name] for m in MODELS}) for name in RANKINGS},
    }


def _compared(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Means, chance, and the differences between the two models, paired over users."""
    values = [per_query(*found[name]) for name in MODELS]
    counts = next(iter(found.values()))[1]
    differences = np.stack([values[0][m] - values[1][m] for m in METRICS], 1)  # (U, metrics)
    low, high = bootstrap_interval(differences)
    p = paired_t(differences)
    random = random_ranking(counts)
    return {
        metric: {
            **{name: float(each[metric].mean()) for name, each in zip(MODELS, values)},
            "chance": random[metric],
            "difference": float(differences[:, column].mean()),
            "low": float(low[column]),
            "high": float(high[column]),
            "p": float(p[column]),
        }
        for column, metric in enumerate(METRICS)
    }


def render(measured: dict[str, Any]) -> str:
    """The report, in Markdown."""
    seconds = " and ".join(f"{s:.0f} s ({name})" for name, s in measured["seconds"].items())
    given = ", ".join(f"{name} {value}" for name, value in measured["options"].items())
    head = (
        f"{measured['dataset']}, seed {measured['seed']}: {measured['cold_items']} items have lost "
        f"their {measured['interactions']['removed']:,} interactions, "
        f"{measured['interactions']['kept']:,} are left. {measured['users']} users' last "
        f"interactions with a cold item, ranked from the warm ones before it. Percentile: 0 is the "
        f"top, 1 the end of the list. Differences are paired over users: 95 % bootstrap interval, "
        f"p of the t test. Trained in {seconds}; options: {given or 'the defaults'}.\n\n"
    )
    rows = []
    for ranking, title in RANKINGS.items():
        for metric, name in METRICS.items():
            row = measured["rankings"][ranking][metric]
            means = [f"{row[key]:.4f}" for key in (*MODELS, "chance")]
            gain = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
            rows.append([f"among {title}: {name}", *means, gain, f"{row['p']:.1g}"])
    return head + table(["", *MODELS, "chance", "difference", "p"], rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 unless content ranks the cold items clearly better than ids."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.cold_items", description=__doc__.splitlines()[0]
    )
    add_training_options(parser)
    parser.add_argument(
        "--negatives", action="store_true", help="train with cold_items_as_negatives=True instead"
    )
    parser.add_argument("--data", type=Path, help="folder of atomic files (default: ml-100k)")
    a = parser.parse_args(arguments)
    options = training_options(a)
    if a.negatives:
        options["cold_items_as_negatives"] = True
    measured = measure(a.data or folder(), a.seed, options)
    report = render(measured)
    write_json(a.output / "cold_items.json", measured)
    write_atomically(a.output / "cold_items.md", report)
    print(report)
    ndcg = measured["rankings"]["cold"]["ndcg"]
    return 0 if ndcg["low"] > 0 and ndcg["GenRecFusion"] > ndcg["chance"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
