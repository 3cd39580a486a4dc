"""Which stages dvc.lock says are finished, told without importing DVC (which takes a second).

dvc.lock lists, for each finished stage, its command and the MD5 of all it read and wrote. This
compares them with the files, as `dvc status` does, but trusts a users file, and the data, by size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

LOCK = Path("dvc.lock")
Stage = dict[str, Any]


def up_to_date(names: Iterable[str], params: dict[str, Any]) -> set[str]:
    """Those of the stages `names` that `dvc repro` would skip, `params` being params.yaml's."""
    lock = _read()
    written = {out["path"]: out["md5"] for stage in lock.values() for out in stage.get("outs", ())}
    now = cache(md5_of)  # most stages read the same files

    def unchanged(entry: dict[str, Any]) -> bool:
        path = Path(entry["path"])
        if entry["path"] in written and path.suffix != ".json":
            return written[entry["path"]] == entry["md5"] and _same_size(path, entry)
        return now(path) == entry["md5"]

    def holds(stage: Stage) -> bool:
        asked = stage.get("params", {}).get("params.yaml", {})
        files = [*stage.get("outs", ()), *stage.get("deps", ())]
        return asked.items() <= params.items() and all(unchanged(entry) for entry in files)

    return {name for name in names if name in lock and holds(lock[name])}


def _same_size(path: Path, entry: dict[str, Any]) -> bool:
    if path.is_dir():
        return True
    return path.is_file() and path.stat().st_size == entry["size"]


def md5_of(path: Path) -> str | None:
    """MD5 as DVC writes it: of the bytes, or of a folder's sorted list of files; None if absent."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return None
    files = sorted(
        (file.relative_to(path).as_posix(), file)
        for file in path.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    entries = [{"md5": md5_of(file), "relpath": relative} for relative, file in files]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def _read() -> dict[str, Stage]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml: ten times as fast
    try:
        content = yaml.load(LOCK.read_text(encoding="utf-8"), Loader=loader)
    except FileNotFoundError:
        return {}
    return content["stages"] if content else {}
