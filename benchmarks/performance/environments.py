"""An environment for each competitor, made on demand under work/envs/ from pinned versions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / "work" / "envs"


def python_of(name: str) -> Path:
    """The Python of environment `name`, installed first unless requirements-<name>.txt is.

    The stamp is written last, so an installation that was cut short is started again.
    Raises subprocess.CalledProcessError when the installation fails.
    """
    requirements = HERE / f"requirements-{name}.txt"
    folder = ENVIRONMENTS / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"installing {name} into {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "-r", requirements], check=True, stdout=sys.stderr)
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        # A CUDA build of torch: its libraries are not listed, its own exact pins bring them.
        subprocess.run([*install, "-c", requirements, "torch"], check=True, stdout=sys.stderr)
    stamp.write_text(wanted)
    return python
