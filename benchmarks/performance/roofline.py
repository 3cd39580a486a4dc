"""How much faster would training be if all but matrix products took no time?

    python -m benchmarks.performance.roofline

It measures a training step of BERT4Rec and of SASRec, and the scoring of users with EnhancedGenRec
by default and with all layers. The table has the share of the time that matrix products take, their
speed, and the speed of one large product on the same cores. torch's profiler measures the share;
attention's fused kernels count as products. On ml-100k, without a whole training. Writes
roofline.json and roofline.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from benchmarks.options import RESULTS
from benchmarks.performance.latency import MODELS
from benchmarks.report import number, table
from llm4rec_recbole.files import write_atomically, write_json

PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::baddbmm")
ATTENTION = "attention"  # part of its kernels' names


@dataclass(frozen=True)
class Cost:
    """What a piece of work costs, by torch's profiler."""

    what: str
    seconds: float  # without the profiler
    share: float  # of the time, in matrix products
    gflop: float  # of products, attention's left out
    gflop_a_second: float  # in products, attention's left out

    @property
    def bound(self) -> float:
        """How many times as fast it would be if all else took no time."""
        return 1 / self.share


def profiled(what: str, work: Callable[[], object]) -> Cost:
    """Do the work once to warm up, once timed, once profiled."""
    from torch.profiler import ProfilerActivity, profile

    work()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
        work()
    kernels = profiler.key_averages()
    products = [k for k in kernels if k.key in PRODUCTS or ATTENTION in k.key]
    counted = [k for k in products if k.flops]
    flop = sum(k.flops for k in counted)
    return Cost(
        what=what,
        seconds=seconds,
        share=_seconds(products) / _seconds(kernels),
        gflop=flop / 1e9,
        gflop_a_second=flop / _seconds(counted) / 1e9,
    )


def _seconds(kernels: Iterable[Any]) -> float:
    return sum(kernel.self_cpu_time_total for kernel in kernels) / 1e6  # type: ignore[no-any-return]


def training(model: str, options: dict[str, Any], steps: int) -> Cost:
    """Of `steps` steps."""
    from llm4rec_recbole.training.experiment import prepare

    run = prepare(model, "ml-100k", options=options)

    def work() -> None:
        for batch in islice(cycle(run.data.train), steps):
            run.trainer.optimizer.zero_grad()
            run.model.calculate_loss(batch).backward()
            run.trainer.optimizer.step()

    return profiled(f"{model}, {steps} training steps", work)


def scoring(name: str, options: dict[str, Any], users: int) -> Cost:
    """Of all items for `users` users, by EnhancedGenRec with the options that `name` stands for."""
    from llm4rec_recbole.evaluation.held_out_loader import scorer
    from llm4rec_recbole.training.experiment import prepare

    run = prepare("EnhancedGenRec", "ml-100k", options=options | MODELS[name])
    test = run.data.test
    score = scorer(run.model, run.config, test.held_out, test.dataset)
    return profiled(f"EnhancedGenRec ({name}), {users} users", lambda: score(np.arange(users)))


def large_product(dtype: str, n: int = 2048, times: int = 5) -> float:
    """GFlop a second of a product of two (n, n) matrices, the best of `times`."""
    import torch

    matrix = torch.ones(n, n, dtype=getattr(torch, dtype))
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        matrix @ matrix
        took.append(time.perf_counter() - began)
    return 2e-9 * n**3 / min(took)


def render(measured: dict[str, Any]) -> str:
    """One row for each piece of work."""
    load = ", ".join(f"{value:.1f}" for value in measured["load_average"])
    large = " and ".join(f"{number(v)} in {name}" for name, v in measured["large"].items())
    costs = [Cost(**cost) for cost in measured["costs"]]
    head = (
        f"{measured['hardware']}, {measured['threads']} threads, on {measured['date']}, load "
        f"average {load} before the start. One large product runs at {large} (GFlop a second); "
        f"EnhancedGenRec computes in {measured['arithmetic']}, the others in float32."
    )
    header = ["work", "s", "in products", "if all else were free", "GFlop", "GFlop/s in products"]
    rows = [
        [cost.what, number(cost.seconds), f"{cost.share:.0%}", f"{cost.bound:.2f} ×",
         number(cost.gflop), number(cost.gflop_a_second)]
        for cost in costs
    ]  # fmt: skip
    return f"{head}\n\n{table(header, rows)}\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print."""
    import torch

    from llm4rec_recbole.language_models.compute_dtype import compute_dtype
    from llm4rec_recbole.machine import hardware

    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.roofline",
        description=__doc__.splitlines()[0],
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="of training (%(default)s)")
    parser.add_argument("--users", type=int, default=256, help="to be scored (%(default)s)")
    a = parser.parse_args(arguments)
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as place:
        options = {"protocol": "loo", "use_gpu": False, "show_progress": False, "quiet": True}
        options |= {"num_threads": a.threads, "checkpoint_dir": place}
        costs = [training(model, options, a.steps) for model in ("BERT4Rec", "SASRec")]
        costs += [scoring(name, options, a.users) for name in MODELS]
    computes = str(compute_dtype("auto", "cpu")).removeprefix("torch.")
    measured = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "hardware": hardware(torch.device("cpu")),
        "threads": a.threads,
        "load_average": load,
        "arithmetic": computes,
        "large": {name: large_product(name) for name in sorted({"float32", computes})},
        "costs": [asdict(cost) for cost in costs],
    }
    write_json(RESULTS / "roofline.json", measured)
    write_atomically(RESULTS / "roofline.md", render(measured))
    print(render(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
