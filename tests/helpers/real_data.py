"""Where the tests marked `realdata` look for the originals, which are not in this project."""

from __future__ import annotations

import os
from pathlib import Path

#: Holds a folder for each; docs/data.md (Raw files) names them.
REAL_DATA = Path(
    os.environ.get("LLM4REC_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
)


def why_absent(name: str) -> str | None:
    """None where folder `name` is there, else the reason to skip."""
    if (REAL_DATA / name).is_dir():
        return None
    return f"no {name} in {REAL_DATA}; LLM4REC_REAL_DATA names another folder"
