"""The folder in which `llm4rec adapt` keeps what a trained model has learned since.

model.json              which model it is: no other one may go on from here
journal.jsonl           every event that was accepted
snapshot.safetensors    the parameters after most of them
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llm4rec_recbole.components.adaptation.journal import CrashSafeAdapter
from llm4rec_recbole.components.adaptation.steps import online_adapter
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.inference.feedback import Feedback
from llm4rec_recbole.inference.restore import TrainedModel


def require_adaptive(model: TrainedModel) -> None:
    """Raises InputError for a model that has no way to learn from single events."""
    if getattr(model.model, "adaptation", None) is None:
        hint = "EnhancedGenRec with its component adaptation, and GenRecAdapt, do"
        raise InputError(f"{model.method} does not learn from single events", hint=hint)


def resume(model: TrainedModel, folder: Path) -> tuple[CrashSafeAdapter, Feedback]:
    """`model`, in place, with all that `folder` says it learned; what keeps its users' histories.

    An empty or new folder is a new beginning. Raises InputError for a model that does not learn
    from events, and for a folder that is another model's, in use, or damaged.
    """
    require_adaptive(model)
    _claim(model, folder / "model.json")
    feedback = Feedback(model)
    adapter = online_adapter(model.model, model.test, feedback.loss)
    durable = CrashSafeAdapter(adapter, folder, check=feedback.check, observe=feedback.observe)
    return durable, feedback


def with_adaptation_state(model: TrainedModel, folder: Path) -> TrainedModel:
    """`model`, in place, with all that `folder` says it learned, and those events in the histories.

    Raises InputError as `resumed`, and for a folder in which nothing was learned.
    """
    if not (folder / "journal.jsonl").is_file():
        raise InputError("there is nothing that `llm4rec adapt` wrote", file=folder)
    durable, feedback = resume(model, folder)
    durable.close()
    return feedback.restored()


def _claim(model: TrainedModel, path: Path) -> None:
    """Write down whose folder this is; raises InputError when it is another model's."""
    own = {"method": model.method, "checkpoint_sha256": sha256_of(model.path)}
    if not path.exists():
        write_json(path, own)
        return
    try:
        found: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError("this is damaged", file=path) from error
    if found != own:
        name = found.get("method") if isinstance(found, dict) else None
        hint = "every trained model needs a --state of its own"
        raise InputError(f"this is of another model: {name}, or trained anew", file=path, hint=hint)
