"""Download a file so that a broken connection costs nothing but the time: the next try goes on.

    <name>.part       what has come so far
    <name>.part.tag   the server's name for this version of the file (ETag or Last-Modified)

The server is asked for the rest only if its version is still that one (If-Range); else it sends
the file from the beginning.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError


class Refused(InputError):
    """The server does not give the file."""


_BLOCK = 1 << 16
_SECONDS = 60  # without a byte, the connection is given up


def download(url: str, path: Path) -> Path:
    """Download `url` into `path`, which appears when it is whole; return it.

    Raises Refused when the server does not give it, InputError when the connection breaks or the
    disk does not take it; what came is kept.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"not a web address: {url}")
    part, tag = (path.with_name(path.name + ending) for ending in (".part", ".part.tag"))
    headers = {}
    if part.is_file() and tag.is_file():
        headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": tag.read_text()}
    try:
        with (
            urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=_SECONDS
            ) as answer,
            _writing(part),
        ):
            _receive(answer, part, tag)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not headers:  # 416: there is no rest, all of it had come
            hint = "or give your own copy, with --from"
            message = f"the server says {error.code} {error.reason}"
            raise Refused(message, file=url, hint=hint) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        why = getattr(error, "reason", None) or error
        hint = "run it again to go on from there"
        so_far = part.stat().st_size if part.is_file() else 0
        message = f"the connection broke after {so_far:,} bytes: {why}"
        raise InputError(message, file=url, hint=hint) from None
    part.replace(path)
    tag.unlink(missing_ok=True)
    return path


def _receive(answer: Any, part: Path, tag: Path) -> None:
    from tqdm import tqdm

    going_on = answer.status == 206
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    part.parent.mkdir(parents=True, exist_ok=True)
    if going_on and not _is_the_rest(answer, version, part, tag):
        part.unlink()
        raise http.client.HTTPException("the server sent another part than the one asked for")
    if not going_on:
        part.unlink(missing_ok=True)
        tag.unlink(missing_ok=True)
        if version and not version.startswith("W/"):  # a weak ETag promises no equal bytes
            tag.write_text(version)
    start = part.stat().st_size if going_on else 0
    length = answer.headers.get("Content-Length") or ""
    total = start + int(length) if length.isdecimal() else None
    with (
        open(part, "ab") as file,
        tqdm(
            total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None
        ) as bar,
    ):
        while block := _read(answer):
            file.write(block)
            bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise http.client.IncompleteRead(b"", total - part.stat().st_size)


def _is_the_rest(answer: Any, version: str | None, part: Path, tag: Path) -> bool:
    """Whether the answer begins where `part` ends and is of its version, as far as it tells."""
    told = answer.headers.get("Content-Range") or ""
    return told.startswith(f"bytes {part.stat().st_size}-") and version in (None, tag.read_text())


def _read(answer: Any) -> bytes:
    try:
        return bytes(answer.read(_BLOCK))
    except OSError as error:  # the connection's: any other is the disk's
        raise http.client.HTTPException(str(error)) from None


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    """What the disk refuses in the block is told as that: no connection broke."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write it: {error.strerror}", file=part) from None
