"""One run: options in; a trained model, a run record and a users file out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError


def run(
    model: str,
    dataset: str,
    config_files: Sequence[str] = (),
    options: dict[str, Any] | None = None,
) -> Path:
    """Train `model` on `dataset`, evaluate it once on the test items, and write the run record.

    Options are RecBole's and this project's (properties/overall.yaml); they win over
    `config_files`, which win over the property files. Returns the record's path,
    <results_dir>/runs/<dataset>/<protocol>/<method>/seed_<k>.json. Raises InputError for bad
    input; an earlier record stays until the new one is whole.
    """
    started = time.time()
    from llm4rec_recbole.training import record
    from llm4rec_recbole.training.train import train

    try:
        return record.write(train(model, dataset, config_files, options), started)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "what earlier runs wrote is untouched"
        raise InputError(f"cannot write: {reason}", file=error.filename, hint=hint) from error
