"""Worker: start a training command as a person would, and answer at its first optimizer step.

The request names who: `stock RecBole`, through its run_recbole, or `ours`, through the command.
The process ends there, without clean-up: the benchmark measures from before it was started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `{"who", "arguments"}` on stdin, start the training, never return."""
    request = json.load(sys.stdin)
    stdout = os.dup(1)
    os.dup2(2, 1)

    from torch.optim.optimizer import register_optimizer_step_post_hook

    def answer(*unused: Any) -> None:
        # The monotonic clock is the same for all processes of a machine.
        os.write(stdout, json.dumps({"first_step": time.monotonic()}).encode() + b"\n")
        os._exit(0)

    register_optimizer_step_post_hook(answer)
    sys.argv = ["run_recbole", *request["arguments"]]
    if request["who"] == "stock RecBole":
        sys.path.append(str(Path(__file__).parent / "stubs"))
        from recbole.quick_start import run_recbole

        run_recbole(
            model="BERT4Rec",
            dataset="ml-100k",
            config_dict={
                "train_neg_sample_args": None,
                "state": "WARNING",
                "show_progress": False,
            },
            saved=False,
        )
    else:
        from llm4rec_recbole.cli.run import run_recbole

        run_recbole()
    raise SystemExit("the command ended without an optimizer step")


main()
