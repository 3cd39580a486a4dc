"""How the costs of data, training and evaluation grow with users, items and history length.

    python -m benchmarks.performance.cost_vs_size

Made-up interactions at 1, 2, 4 and 8 times one of the three sizes, the others as they are:
numbering and splitting, one training step of SASRec with the softmax over all items, and the three
rankings of all test users. CPU seconds on one thread, and the peak of memory above what the
process held before. The file itself is read when the options are checked, before the clock runs:
size.py measures that. Writes results/cost_vs_size.json and .md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RESULTS
from benchmarks.report import number, table
from llm4rec_recbole.files import write_atomically, write_json
from llm4rec_recbole.machine import processor_name

BASE = {"users": 2000, "items": 2000, "length": 50}
FACTORS = (1, 2, 4, 8)
#: What each phase does: its work is proportional to the product of these sizes.
WORK = {
    "data": ("users", "length"),
    "training step": ("items", "length"),
    "evaluation": ("users", "items"),
}
STEP_WINDOWS = 128  # histories in a training step
OPTIONS = {
    "use_gpu": False,
    "show_progress": False,
    "quiet": True,
    "num_threads": 1,
    "loss": "full",
    "batch_targets": 0,
    "train_batch_size": STEP_WINDOWS,
    "load_col": None,
}


def write_interactions(path: Path, users: int, items: int, length: int) -> None:
    """Write `length` interactions of each user, with items that the user has not had before."""
    random = np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(users):
        chosen = random.permutation(items)[:length]
        lines += [f"{user}\t{item}\t{t}" for t, item in enumerate(chosen.tolist())]
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def cost(costs: dict[str, Any], phase: str) -> Iterator[None]:
    """Add the CPU seconds and the peak of memory of the block to `costs[phase]`."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    held, began = _memory("VmRSS"), time.process_time()
    yield
    seconds, mib = time.process_time() - began, (_memory("VmHWM") - held) / 1024
    costs[phase] = {"seconds": round(seconds, 3), "mib": round(max(mib, 0), 1)}


def _memory(name: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def measure(users: int, items: int, length: int) -> dict[str, dict[str, float]]:
    """The costs of each phase at one size."""
    from llm4rec_recbole.training import run

    costs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_interactions(Path(folder) / "made" / "made.inter", users, items, length)
        options = OPTIONS | {"data_path": folder, "MAX_ITEM_LIST_LENGTH": length}
        config = run.load_config("SASRec", "made", (), options)
        with cost(costs, "data"):
            data = run.load_dataset(config)
        network = run.build_model(config, data.train)
        optimizer = run.build_trainer(config, network).trainer.optimizer
        batch = next(iter(data.train)).to(config["device"])
        for _ in range(2):  # the first step also allocates
            with cost(costs, "training step"):
                network.calculate_loss(batch).backward()
                optimizer.step()
                optimizer.zero_grad()
        with cost(costs, "evaluation"):
            data.test.rank(network)
    return costs


def rows() -> list[dict[str, int]]:
    """The sizes to measure: the base once, then each axis by each factor."""
    scaled = [{**BASE, axis: BASE[axis] * f} for axis in BASE for f in FACTORS if f > 1]
    return [dict(BASE), *scaled]


def render(measured: dict[str, Any]) -> str:
    """A table for each axis: seconds and memory at each factor, and seconds against work."""
    base = measured["rows"][0]["costs"]
    blocks = [
        "# Cost against size",
        f"`python -m benchmarks.performance.cost_vs_size`, {measured['date']}: "
        f"{measured['machine']}, one thread, load average {measured['load']:.1f}. At 1 ×: "
        f"{', '.join(f'{size:,} {name}' for name, size in BASE.items())}. CPU seconds and MiB "
        "above what the process held before. *Data* is numbering and splitting; the file is read "
        "before (`size.md`).",
        "*Against work* is the growth of the seconds divided by that of the work: above 1, the "
        "cost grows faster than the work. The work of the data is users × length, of a training "
        f"step ({STEP_WINDOWS} histories) items × length, of the evaluation users × items. "
        "SASRec's own pass over a history counts in both; its attention grows with the square of "
        "the length, which this work leaves out.",
    ]
    for axis in BASE:
        lines = []
        for row in measured["rows"]:
            factor = row["sizes"][axis] / BASE[axis]
            if factor == 1 and row is not measured["rows"][0]:
                continue
            cells = []
            for phase, sizes in WORK.items():
                seconds, mib = (row["costs"][phase][key] for key in ("seconds", "mib"))
                growth = seconds / base[phase]["seconds"] / (factor if axis in sizes else 1)
                cells += [number(seconds), number(mib), f"{growth:.2f}"]
            lines.append([f"{factor:g} ×", *cells])
        header = [axis]
        for phase in WORK:
            header += [f"{phase}, s", "MiB", "against work"]
        blocks += [f"## {axis.capitalize()}", table(header, lines)]
    return "\n\n".join(blocks) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure all sizes and write the page."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance.cost_vs_size", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    measured: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{processor_name()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "rows": [],
    }
    measure(**{axis: size // 4 for axis, size in BASE.items()})  # imports, first allocations
    for sizes in rows():
        measured["rows"].append({"sizes": sizes, "costs": measure(**sizes)})
        print(measured["rows"][-1], file=sys.stderr, flush=True)
    write_json(options.output / "cost_vs_size.json", measured)
    page = render(measured)
    write_atomically(options.output / "cost_vs_size.md", page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
