"""How every command ends: standard output, Ctrl-C, and errors in one line.

0     done                                         130  stopped by Ctrl-C, 143 by SIGTERM
2     bad input, a failing disk, too little memory 141  the reader of the output has closed it
70    a defect of this program; its traceback is in a file of work/log
"""

from __future__ import annotations

import atexit
import functools
import gc
import logging
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError, absent_package, missing_package, one_line

_BAD_INPUT = 2
_STOPPED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM
_CLOSED_PIPE = 128 + signal.SIGPIPE
_DEFECT = 70  # EX_SOFTWARE of sysexits.h
LOG_FOLDER = Path("work/log")


class Terminated(BaseException):
    """SIGTERM, for the code that cleans up before it ends; no `except Exception` hides it."""


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Search for no reference cycles in the block.

    The start of a command makes a million objects that stay. To search them takes a second. Later
    searches leave them out.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def run_command(name: str, command: Callable[[], int | None]) -> int:
    """Call `command` and return the exit status; report what stops it in one line on stderr.

    An error that is no InputError, no OSError, no lack of memory and no Ctrl-C is a defect. Its
    traceback goes to a file in LOG_FOLDER.
    """
    _prepare_streams()
    atexit.register(gc.freeze)  # the interpreter then ends without a search of all objects
    threading.excepthook = functools.partial(_report_failure, name)
    sys.unraisablehook = functools.partial(_report_failure, name)  # of a __del__
    logging.raiseExceptions = False  # a log that cannot be written prints no traceback
    with _noted_interrupts() as interrupts:
        try:
            status = _exit_status(name, command)
        except KeyboardInterrupt:
            status = _stopped()
        except Terminated:
            print("stopped", file=sys.stderr, flush=True)
            status = _TERMINATED
        except Exception as error:  # an import that is interrupted may raise ImportError
            status = _stopped() if interrupts else _report_defect(name, error)
    return _flush_output(name, status)


def write_page(make: Callable[[], str], argv: Sequence[str] | None = None) -> int:
    """Write a generated page to the file that the command line names; print it without a file."""
    from llm4rec_recbole.files import write_atomically
    from llm4rec_recbole.parser import Parser

    parser = Parser(description="Write a generated page.")
    parser.add_argument("file", nargs="?", type=Path, help="the file (default: standard output)")
    file = parser.parse_args(argv).file
    if file is None:
        print(make(), end="")
    else:
        write_atomically(file, make())
    return 0


def _exit_status(name: str, command: Callable[[], int | None]) -> int:
    try:
        return command() or 0
    except SystemExit as end:  # argparse's, after --help or for a bad option
        return end.code if isinstance(end.code, int) else 0 if end.code is None else _BAD_INPUT
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return _BAD_INPUT
    except ModuleNotFoundError as error:
        if (package := absent_package(error)) is None:
            raise
        print(f"{name}: {missing_package(package, 'this command')}", file=sys.stderr)
        return _BAD_INPUT
    except BrokenPipeError:  # `llm4rec … | head` has read enough
        _discard_output()
        return _CLOSED_PIPE
    except OSError as error:
        _discard_output()
        file = "output" if error.filename is None else os.fsdecode(error.filename)
        print(one_line(f"{name}: {file}: {error.strerror or error}"), file=sys.stderr)
        return _BAD_INPUT
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        print(f"{name}: the memory of this machine is too small for this run", file=sys.stderr)
        return _BAD_INPUT


def _report_failure(name: str, arguments: Any) -> None:
    """Report in one line what ended a thread, such as the writer of TensorBoard's log."""
    error = arguments.exc_value
    if isinstance(error, OSError):
        file = "a log" if error.filename is None else os.fsdecode(error.filename)
        print(one_line(f"{name}: {file}: {error.strerror or error}"), file=sys.stderr)
    elif isinstance(error, Exception):
        _report_defect(name, error)


def _lacks_memory(error: Exception) -> bool:
    """Whether `error` reports that an allocation failed, in NumPy, PyTorch or Python."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return "can't allocate memory" in str(error)  # PyTorch's allocator for the CPU


def _report_defect(name: str, error: Exception) -> int:
    """Write the traceback of `error` to a file and name the file in one line on stderr.

    An error in a model of the user's own is named with its file and line, as bad input is.
    """
    path = _write_log(name, error)
    where = "and no log could be written" if path is None else f"its traceback is in {path}"
    cause = " ".join(f"{type(error).__name__}: {error}".split())
    cause = cause if len(cause) <= 200 else cause[:197] + "..."
    if (frame := _frame_of_user_model(error)) is not None:
        line = InputError(cause, file=os.path.relpath(frame.filename), line=frame.lineno)
        print(f"{name}: {line}, {where}", file=sys.stderr)
        return _BAD_INPUT
    print(InputError(f"{name}: a defect of this program, {where} ({cause})"), file=sys.stderr)
    return _DEFECT


def _frame_of_user_model(error: Exception) -> traceback.FrameSummary | None:
    """The deepest frame of `error` in the file of a model that the user wrote; None without one."""
    from llm4rec_recbole.registry import USER_MODELS

    modules = (sys.modules.get(model.__module__) for model in USER_MODELS.values())
    files = {os.path.realpath(getattr(module, "__file__", None) or "") for module in modules}
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if os.path.realpath(frame.filename) in files]
    return inside[-1] if inside else None


def _write_log(name: str, error: Exception) -> Path | None:
    """The new file with command, versions and traceback; None where no folder can be written."""
    trace = "".join(traceback.format_exception(error))
    heading = f"command: {[name, *sys.argv[1:]]}\npython: {platform.python_version()}\n"
    file = f"{name.replace(' ', '_')}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (LOG_FOLDER, Path(tempfile.gettempdir())):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            content = (heading + trace).encode(errors="backslashreplace")
            (folder / file).write_bytes(content)
            return folder / file
    return None


def _flush_output(name: str, status: int) -> int:
    """Flush standard output; return `status`, or the status for an output that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return _CLOSED_PIPE
    except OSError as error:
        _discard_output()
        print(f"{name}: output: {error.strerror or error}", file=sys.stderr)
        return status or _BAD_INPUT
    return status


def _discard_output() -> None:
    """Send what is still to be flushed to nowhere, so that the interpreter's end does not fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare_streams() -> None:
    """Make every character printable, and give closed streams an open file.

    Without a standard output, the next file that is opened would get its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open until the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """A list that holds each Ctrl-C: some libraries replace KeyboardInterrupt by another error."""
    interrupts: list[int] = []
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not default or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def interrupt(number: int, frame: Any) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    def unraisable(error: Any) -> None:
        if error.exc_type is KeyboardInterrupt:  # in a callback, from which nothing is raised
            os._exit(_stopped())
        hook(error)

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook


def _stopped() -> int:
    """Report Ctrl-C; return a shell's status for it, which the pipeline does not call a failure."""
    print("stopped", file=sys.stderr, flush=True)
    return _STOPPED
