"""Standard output that is closed or full, Ctrl-C at any time, characters that cannot be printed."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from llm4rec_recbole.console import no_garbage_collection, run_command, write_page
from llm4rec_recbole.errors import InputError

COMMANDS = ["run_recbole", "llm4rec"]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a shell command in which $run_recbole and $llm4rec stand for the two commands."""
    environment["PYTHONUNBUFFERED"] = ""  # with it argparse ignores a closed pipe
    for name in COMMANDS:
        code = f"from llm4rec_recbole.cli.run import {name}; raise SystemExit({name}())"
        environment[name] = f'{sys.executable} -c "{code}"'
    expanded = command
    for name in COMMANDS:
        expanded = expanded.replace(f"${name}", environment[name])
    return subprocess.run(
        ["bash", "-c", expanded], capture_output=True, text=True, env=os.environ | environment
    )


@pytest.mark.parametrize("command", ["$run_recbole --help", "$llm4rec", "$llm4rec adapt --help"])
@pytest.mark.parametrize(
    ("output", "status", "error"),
    [
        ("> /dev/full", 2, "output: No space left on device\n"),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
    ],
)
def test_an_output_that_is_closed_or_full(command, output, status, error) -> None:
    if "true" in output:
        command = f"(sleep 0.3; {command})"  # the reader has gone before the first line
    ended = shell(f"{command} {output}")
    assert ended.returncode == status
    assert ended.stderr.endswith(error)
    assert ended.stderr.count("\n") == error.count("\n")


def test_a_file_opened_without_standard_output_receives_no_output(tmp_path: Path) -> None:
    code = f"""
from llm4rec_recbole.console import run_command, write_page
def command():
    with open({str(tmp_path / "file")!r}, "w") as file:
        print("output", flush=True)
        file.write("content")
raise SystemExit(run_command("test", command))
"""
    (tmp_path / "code.py").write_text(code)
    subprocess.run(["bash", "-c", f"{sys.executable} {tmp_path}/code.py >&-"], check=True)
    assert (tmp_path / "file").read_text() == "content"


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_character_that_cannot_be_printed_is_replaced(environment, tmp_path: Path) -> None:
    code = "from llm4rec_recbole.console import run_command as run\n"
    code += "raise SystemExit(run('test', lambda: print('L\\xe9on')))\n"
    (tmp_path / "code.py").write_text(code)
    environment = {"PYTHONCOERCECLOCALE": "0", **environment}
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "code.py")],
        capture_output=True,
        env=os.environ | environment,
        check=True,
    )
    assert ended.stdout == b"L?on\n"
    assert ended.stderr == b""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("wrong"), 2, "test: wrong\n"),
        (OSError(errno.ENOSPC, "No space left on device", "file"), 2, "test: file: No space left"),
        (OSError(errno.EIO, "Input/output error"), 2, "test: output: Input/output error\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (BrokenPipeError(), 141, ""),
        (
            ModuleNotFoundError("No module named 'torch_scatter.x'", name="torch_scatter.x"),
            2,
            "test: this command needs the package torch_scatter, which is not installed "
            "(pip install --no-build-isolation torch-scatter)\n",
        ),
        (
            ModuleNotFoundError("No module named 'recbole.nowhere'", name="recbole.nowhere"),
            70,
            "test: a defect of this program",
        ),
        (SystemExit(0), 0, ""),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_each_end_has_its_status_and_its_line(error, status, line, capsys) -> None:
    def command() -> int:
        raise error

    handler = signal.getsignal(signal.SIGINT)
    assert run_command("test", command) == status
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == bool(line)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_defect_is_one_line_that_names_its_log(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("llm4rec test", lambda: 1 // 0) == 70
    (log,) = Path("work/log").iterdir()
    line = f"llm4rec test: a defect of this program, its traceback is in {log} (ZeroDivisionError"
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert "Traceback" in log.read_text()
    assert "return" not in err


def test_a_defect_without_a_folder_to_write_to_has_its_log_elsewhere(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    Path("work").write_text("not a folder")
    assert run_command("test", lambda: {}["\udce9"]) == 70
    assert f"its traceback is in {tmp_path}/elsewhere/test-" in capsys.readouterr().err
    Path("elsewhere").rename("gone")
    Path("elsewhere").write_text("not a folder")
    assert run_command("test", lambda: {}["a"]) == 70
    assert "no log could be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_a_lack_of_memory_is_not_reported_as_a_defect(error, capsys) -> None:
    def command() -> int:
        raise error

    assert run_command("test", command) == 2
    assert "the memory of this machine is too small" in capsys.readouterr().err


def test_a_thread_that_fails_prints_no_traceback(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # is restored

    def command() -> None:
        for target in (partial(Path("gone/file").read_text), partial(int, "one")):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    assert run_command("test", command) == 0
    disk, defect = capsys.readouterr().err.splitlines()
    assert disk == "test: gone/file: No such file or directory"
    assert defect.startswith("test: a defect of this program, its traceback is in work/log/")


@pytest.mark.parametrize("replacement", ["raise ImportError('no numpy')", "pass"])
def test_an_interrupt_that_a_library_replaces_stops_the_command(replacement, tmp_path) -> None:
    """As NumPy's C code does; "pass": it is lost in a callback, as in a weak reference's."""
    code = f"""
import os, signal, time
from llm4rec_recbole.console import run_command, write_page
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores SIGINT
class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
def command():
    if {replacement!r} == "pass":
        Callback()
        time.sleep(30)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    except KeyboardInterrupt:
        {replacement}
raise SystemExit(run_command("test", command))
"""
    (tmp_path / "code.py").write_text(code)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "code.py")], capture_output=True, text=True
    )
    assert ended.stderr == "stopped\n"
    assert ended.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", range(200, 2200, 200))
def test_ctrl_c_during_the_imports_is_one_line(milliseconds: int, tmp_path: Path) -> None:
    code = "from llm4rec_recbole.cli.run import run_recbole; raise SystemExit(run_recbole())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--model=EASE", "--dataset=ml-100k"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(milliseconds / 1000)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert err.endswith("stopped\n")
    assert "Traceback" not in err
    assert process.returncode == 130


def test_the_search_for_reference_cycles_is_off_in_the_block_only() -> None:
    assert gc.isenabled()
    with no_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize(
    "module",
    ["llm4rec_recbole.cli.help", "llm4rec_recbole.evaluation.run_record",
     "benchmarks.studies.simulation_checks"],
)  # fmt: skip
def test_an_option_is_never_the_name_of_a_generated_page(module: str, tmp_path: Path) -> None:
    for option, status in (("--help", 0), ("--out", 2)):
        ended = subprocess.run(
            [sys.executable, "-m", module, option], cwd=tmp_path, capture_output=True, text=True
        )
        assert ended.returncode == status
        assert ended.stdout.startswith("usage: ") == (status == 0)
        assert ended.stderr.count("\n") == int(status == 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (
            ["recommend", "--user=u1", "--chekpoint=x"],
            "there is no option --chekpoint; did you mean ",
        ),
        (["recommend"], "the following arguments are required: --user"),
        (["recommend", "--use=u1"], "the following arguments are required: --user"),
        (["recommend", "--user=u1", "-k", "many"], "argument -k: invalid int value: 'many'"),
        (["explain", "--user=u", "--item=i", "--language_model=/no"], "no language model '/no'"),
        (["compare", "--results=nowhere"], "there is no folder nowhere"),
        (["dataset_table", "--other_results=nowhere"], "there is no folder nowhere"),
        (["fetch"], "the following arguments are required: name"),
        (["status", "now"], "unrecognized arguments: now"),
    ],
)
def test_a_wrong_command_line_is_one_line(argv, line, tmp_path, monkeypatch, capsys) -> None:
    from llm4rec_recbole.cli.run import llm4rec

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["llm4rec"])
    assert llm4rec(argv) == 2
    out, err = capsys.readouterr()
    assert line in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_to_its_file_or_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_page(lambda: "# A page\n", []) == 0
    assert capsys.readouterr().out == "# A page\n"
    assert write_page(lambda: "# A page\n", [str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == "# A page\n"


@pytest.mark.parametrize("module", ["run_stage", "checkpoint"])
def test_a_stage_without_a_training_command_is_one_line(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"llm4rec_recbole.pipeline.{module}", "--help"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "the training command has no --dataset=, --protocol=" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
