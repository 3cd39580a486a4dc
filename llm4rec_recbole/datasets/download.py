"""Downloads a file. After a broken connection, the next call continues where this one stopped.

    <name>.part       the bytes received so far
    <name>.part.tag   the server's name for this version of the file (ETag or Last-Modified)

The next call requests the rest under the condition that the version is the same (If-Range).
Otherwise the server sends the file from the beginning.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError, disk_errors

_BLOCK = 1 << 16
_TIMEOUT = 60  # seconds without a byte


class Refused(InputError):
    """The server does not send the file."""


def download(url: str, path: Path) -> Path:
    """Download `url` to `path`, which exists only when it is complete. Return it.

    Raises Refused if the server does not send the file, and InputError if the connection breaks or
    the file cannot be written. What was received stays for the next call.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"not a web address: {url}")
    part, tag = (path.with_name(path.name + ending) for ending in (".part", ".part.tag"))
    headers = {}
    if part.is_file() and tag.is_file():
        headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": tag.read_text()}
    request = urllib.request.Request(url, headers=headers)
    try:
        with (
            urllib.request.urlopen(request, timeout=_TIMEOUT) as response,
            disk_errors("cannot write it", part),
        ):
            _receive(response, part, tag)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not headers:  # 416: the file has no rest, it is complete
            hint = "or give your own copy, with --from"
            message = f"the server answers {error.code} {error.reason}"
            raise Refused(message, file=url, hint=hint) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        why = getattr(error, "reason", None) or error
        n_bytes = part.stat().st_size if part.is_file() else 0
        message = f"the connection broke after {n_bytes:,} bytes: {why}"
        raise InputError(message, file=url, hint="run it again to continue there") from None
    part.replace(path)
    tag.unlink(missing_ok=True)
    return path


def _receive(response: Any, part: Path, tag: Path) -> None:
    """Append the response to `part`, or start `part` anew if the server sends the whole file."""
    from tqdm import tqdm

    continues = response.status == 206
    version = response.headers.get("ETag") or response.headers.get("Last-Modified")
    part.parent.mkdir(parents=True, exist_ok=True)
    if continues and not _is_the_rest(response, version, part, tag):
        part.unlink()
        raise http.client.HTTPException("the server sent another part than the requested one")
    if not continues:
        part.unlink(missing_ok=True)
        tag.unlink(missing_ok=True)
        if version and not version.startswith("W/"):  # a weak ETag does not promise equal bytes
            tag.write_text(version)
    start = part.stat().st_size if continues else 0
    length = response.headers.get("Content-Length") or ""
    total = start + int(length) if length.isdecimal() else None
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None)
    with open(part, "ab") as file, bar:
        while block := _read(response):
            file.write(block)
            bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise http.client.IncompleteRead(b"", total - part.stat().st_size)


def _is_the_rest(response: Any, version: str | None, part: Path, tag: Path) -> bool:
    """Whether the response begins where `part` ends and names the same version, or none."""
    content_range = response.headers.get("Content-Range") or ""
    begins_there = content_range.startswith(f"bytes {part.stat().st_size}-")
    return begins_there and version in (None, tag.read_text())


def _read(response: Any) -> bytes:
    try:
        return bytes(response.read(_BLOCK))
    except OSError as error:  # of the connection; any other OSError is the disk's
        raise http.client.HTTPException(str(error)) from None
