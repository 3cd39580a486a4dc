"""`llm4rec status`: which runs are done, failed, in progress or waiting, and the time left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from llm4rec_recbole.console import run_command
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.pipeline import status


def main(argv: Sequence[str] | None = None) -> int:
    """Print the status; returns the exit status: 1 if a run failed, 2 for bad input, else 0."""
    description = "Show which runs are done, failed, in progress or waiting, and the time left."
    argparse.ArgumentParser("llm4rec status", description=description).parse_args(argv)
    try:
        statuses = status.read()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(status.report(statuses))
    return int(any(s.kind == "failed" for s in statuses))


if __name__ == "__main__":
    sys.exit(run_command("llm4rec status", main))
