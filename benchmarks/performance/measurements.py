"""The four measurements: each asks the workers one after another and gathers their answers."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import write_for_workers
from benchmarks.performance.processes import Workers

K = 10
NOT_LISTED = 10**9  # the rank of a target that is not among the K recommended


@dataclass(frozen=True)
class Scale:
    """How long and how large to measure; `FULL` is the one that results come from."""

    seconds: float | None = 60.0  # of training that are timed; None: stock RecBole's whole epoch
    hidden: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    stock_batch: int = 2048  # stock RecBole's default
    starts: int = 3  # times each command is started
    peer_epochs: int = 300
    seed: int = 2024

    def recbole_options(self) -> dict[str, Any]:
        """The size of the model, by RecBole's names."""
        return {
            "hidden_size": self.hidden,
            "inner_size": 4 * self.hidden,
            "n_layers": self.layers,
            "n_heads": self.heads,
            "MAX_ITEM_LIST_LENGTH": self.length,
        }

    def peer_sizes(self) -> dict[str, int]:
        """The same, by the names of RecTools' worker."""
        return {name: getattr(self, name) for name in ("hidden", "layers", "heads", "length")}


FULL = Scale()
QUICK = Scale(seconds=2, hidden=16, layers=1, stock_batch=256, starts=1, peer_epochs=2)


def training(workers: Workers, scale: Scale) -> list[dict[str, Any]]:
    """Training throughput of BERT4Rec and SASRec: stock RecBole, RecTools, ours."""
    data = _data(workers)
    common = {"threads": workers.threads}
    options = scale.recbole_options()
    timed = scale.seconds or FULL.seconds
    rows = []
    for model in ("BERT4Rec", "SASRec"):
        requests = {
            "stock RecBole": lambda model=model: workers.ask(
                "recbole",
                "stock_recbole",
                task="train",
                model=model,
                seconds=scale.seconds,
                options=options | {"train_batch_size": scale.stock_batch},
                **common,
            ),
            "RecTools": lambda model=model: workers.ask(
                "rectools",
                "rectools_peer",
                task="train",
                model=model,
                seconds=timed,
                data=data,
                sizes=scale.peer_sizes(),
                **common,
            ),
            "ours": lambda model=model: workers.ask(
                "ours", "ours", task="train", model=model, seconds=timed, options=options, **common
            ),
        }
        for who, ask in requests.items():
            _tell(f"training throughput: {model}, {who}")
            rows.append({"model": model, "who": who} | ask())
    return rows


def evaluation(workers: Workers, scale: Scale) -> list[dict[str, Any]]:
    """Evaluating BERT4Rec for all test users: stock's one `uni100` pass, our three rankings."""
    rows = []
    for who, environment, script in (
        ("stock RecBole", "recbole", "stock_recbole"),
        ("ours", "ours", "ours"),
    ):
        _tell(f"evaluation: {who}")
        answer = workers.ask(
            environment,
            script,
            task="evaluate",
            model="BERT4Rec",
            options=scale.recbole_options(),
            threads=workers.threads,
        )
        rows.append({"model": "BERT4Rec", "who": who} | answer)
    return rows


def start_up(workers: Workers, scale: Scale) -> list[dict[str, Any]]:
    """Seconds from starting the BERT4Rec training command to its first optimizer step."""
    rows = []
    arguments = ["--model=BERT4Rec", "--dataset=ml-100k", "--quiet=true", "--show_progress=false"]
    for who, environment in (("stock RecBole", "recbole"), ("ours", "ours")):
        seconds = []
        for turn in range(scale.starts):
            _tell(f"command to first training step: {who}, {turn + 1} of {scale.starts}")
            started = time.monotonic()
            answer = workers.ask(environment, "first_step", who=who, arguments=arguments)
            seconds.append(answer["first_step"] - started)
        rows.append({"who": who, "seconds": seconds, "median": float(np.median(seconds))})
    return rows


def quality(workers: Workers, scale: Scale) -> dict[str, Any]:
    """Time to quality: RecTools' BERT4Rec to the end, ours with the test NDCG at each validation.

    The test is looked at to measure only: nothing stops or chooses by it.
    """
    from llm4rec_recbole.evaluation.metrics import ndcg

    _tell(f"time to quality: RecTools BERT4Rec, {scale.peer_epochs} epochs")
    peer = workers.ask(
        "rectools",
        "rectools_peer",
        task="quality",
        model="BERT4Rec",
        data=_data(workers),
        sizes=scale.peer_sizes(),
        threads=workers.threads,
        epochs=scale.peer_epochs,
        seed=scale.seed,
    )
    ranks = np.array(peer.pop("ranks"))
    peer["ndcg@10"] = float(ndcg(np.where(ranks < 0, NOT_LISTED, ranks), K).mean())
    _tell(f"  NDCG@10 {peer['ndcg@10']:.4f} after {peer['seconds']:.0f} s; now ours")
    ours = workers.ask(
        "ours",
        "ours",
        task="quality",
        model="BERT4Rec",
        options=scale.recbole_options(),
        threads=workers.threads,
        seconds=peer["seconds"],
        seed=scale.seed,
    )
    return {"model": "BERT4Rec", "peer": peer, "ours": ours} | time_to(peer, ours["curve"])


def time_to(peer: dict[str, Any], curve: list[dict[str, float]]) -> dict[str, Any]:
    """Where on our curve the peer's test NDCG@10 is reached, and where validation is best."""
    reached = [point for point in curve if point["test"] >= peer["ndcg@10"]]
    best = max(curve, key=lambda point: point["valid"])
    return {"reached": reached[0] if reached else None, "best_on_validation": best}


PARTS = {
    "training": training,
    "evaluation": evaluation,
    "start_up": start_up,
    "quality": quality,
}


def _data(workers: Workers) -> str:
    path = Path(workers.folder) / "ml-100k.npz"
    if not path.is_file():
        write_for_workers(path)
    return str(path)


def _tell(message: str) -> None:
    print(time.strftime("[%H:%M:%S] ") + message, file=sys.stderr, flush=True)
