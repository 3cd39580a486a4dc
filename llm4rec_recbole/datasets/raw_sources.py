"""Where raw files come from: a folder, an archive (zip, tar, gzip), or a download.

The files of a folder or an archive are opened by name. Nothing is unpacked to disk. An archive with
a path that leaves its folder is refused, although only the requested files are read: it was made to
do harm. The memory that headers need is bounded (`MAX_HEADER`, `MAX_HEADERS`, `MAX_MEMBERS`): a
small archive can hold a header of gigabytes.

A download continues, after a broken connection, where the last call stopped:

    <name>.part       the bytes received so far
    <name>.part.tag   the server's name for this version of the file (ETag or Last-Modified)

The next call requests the rest under the condition that the version is the same (If-Range).
Otherwise the server sends the file from the beginning.
"""

from __future__ import annotations

import errno
import gzip
import http.client
import lzma
import os
import re
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from llm4rec_recbole.errors import InputError, disk_errors

#: Path inside the archive → function that opens the file for reading bytes.
FileOpeners = dict[str, Callable[[], IO[bytes]]]
#: What reading a corrupt gzip or archive raises, by its documentation.
CORRUPT = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)
#: And by experience: for a damaged name, size, version or kind of compression.
_DAMAGED = (*CORRUPT, ValueError, NotImplementedError, RecursionError)
MAX_HEADER = 1 << 16  # bytes of a tar header with a long name or extended attributes
MAX_HEADERS = 1 << 24  # bytes of all such headers, and of a zip's directory
MAX_MEMBERS = 100_000
MAX_LZMA = 1 << 28  # bytes that decompression of xz or LZMA may need
_BLOCK = 1 << 20
_RECEIVED = 1 << 16  # bytes of a download that are received at once
_TIMEOUT = 60  # seconds without a byte of a download
_UNPACK = "unpack it yourself and give the folder"
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
#: First bytes of a file that is not an archive → what it is. The last match counts.
_BEGINNINGS = (
    (b"", "it is neither a zip nor a tar nor a gzip"),
    (b"PK", "it begins as a zip does but is incomplete, perhaps cut short"),
    (b"\x1f\x8b", "it is a gzip, but not of a tar, and has another name"),
    (b"<", "it looks like a web page, not an archive"),
)


@contextmanager
def reraise_corrupt_archive(
    message: str, file: str | Path, hint: str | None = None
) -> Iterator[None]:
    """Raises InputError with `message` if the block reads a corrupt archive or gzip."""
    try:
        yield
    except InputError:
        raise
    except (*_DAMAGED, OSError) as error:
        # An OSError of the disk has a number. That of bz2 has none, and seeking to a damaged offset
        # is an invalid argument.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        why = f": {error}" if str(error) else ""
        raise InputError(f"{message}{why}", file=file, hint=hint) from None


@contextmanager
def open_archive(path: str | Path) -> Iterator[FileOpeners]:
    """The files in the folder or archive at `path`, by name. They can be opened inside the block.

    Raises InputError if it does not exist, is corrupt, has headers beyond the limits, or holds a
    path that leaves it.
    """
    path = Path(path)
    with reraise_corrupt_archive("a corrupt archive, perhaps cut short", path):
        if path.is_dir():
            os.listdir(path)  # rglob returns nothing for a folder without read permission
            files = (file for file in sorted(path.rglob("*")) if file.is_file())
            yield {str(file.relative_to(path)): _file_opener(file) for file in files}
        elif not path.is_file():
            raise InputError("there is no such file or folder", file=path)
        elif zipfile.is_zipfile(path):
            _limit_zip_directory(path)
            with zipfile.ZipFile(path) as archive:
                yield _zip_openers(path, archive)
        elif (tar := _open_tar(path)) is not None:
            with tar:
                yield _tar_openers(path, tar)
        else:
            yield {path.name: _file_opener(path)}


def find_file(files: FileOpeners, name: str) -> str | None:
    """Path of the file called `name`, with or without .gz, or None. The least deep one counts.

    Raises InputError if several are equally deep.
    """
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    for candidate in (name, other):
        paths = [path for path in files if PurePosixPath(path).name == candidate]
        depth = min((path.count("/") for path in paths), default=0)
        paths = [path for path in paths if path.count("/") == depth]
        if len(paths) > 1:
            raise InputError(f"there are several {candidate}: {', '.join(paths)}")
        if paths:
            return paths[0]
    return None


def describe_contents(path: str | Path, files: FileOpeners) -> str:
    """What is at `path`, in a few words, for a person who expected another file there."""
    path = Path(path)
    names = [name for name in files if not PurePosixPath(name).name.startswith(".")]
    if path.is_file() and names == [path.name]:
        with open(path, "rb") as file:
            beginning = file.read(512).lstrip()
        matches = [words for start, words in _BEGINNINGS if beginning.startswith(start)]
        return matches[-1] if beginning else "it is empty"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    contents = f"it holds {', '.join(names[:3])}{more}" if names else "it holds no files"
    inner = next((name for name in names if name.lower().endswith(_ARCHIVES)), None)
    if inner is None:
        return contents
    return f"{contents}; {inner} is an archive: unpack it and give that"


def _file_opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: open(path, "rb")


def _limit_zip_directory(path: Path) -> None:
    """Refuse a zip with a huge directory, which ZipFile reads as a whole."""
    with open(path, "rb") as file:
        end_record: Any = vars(zipfile)["_EndRecData"](file)
    if end_record is not None and end_record[5] > MAX_HEADERS:
        raise InputError("its directory of files is too large", file=path, hint=_UNPACK)


def _zip_openers(path: Path, archive: zipfile.ZipFile) -> FileOpeners:
    def opener(member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        def open_member() -> IO[bytes]:
            name = member.filename
            if names.count(name) > 1:
                raise InputError(f"there are several {name}", file=path, hint=_UNPACK)
            if member.compress_type == zipfile.ZIP_LZMA and member.file_size > MAX_LZMA:
                message = f"{name} is too large to be unpacked from LZMA"
                raise InputError(message, file=path, hint=_UNPACK)
            try:
                return archive.open(member)
            except RuntimeError as error:  # a password, or a compression that Python lacks
                raise InputError(f"cannot read {name}: {error}", file=path, hint=_UNPACK) from None

        return open_member

    members = archive.infolist()
    names = [member.filename for member in members]
    _refuse_escapes(path, names)
    return {member.filename: opener(member) for member in members if not member.is_dir()}


class _LimitedTarInfo(tarfile.TarInfo):
    """A tar member that refuses long headers and sparse maps before it reads them."""

    def _proc_member(self, archive: Any) -> Any:
        extended = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if self.type in extended:
            archive.header_bytes = getattr(archive, "header_bytes", 0) + self.size
            if self.size > MAX_HEADER or archive.header_bytes > MAX_HEADERS:
                raise InputError("its headers are too long", file=archive.name, hint=_UNPACK)
        return super()._proc_member(archive)  # type: ignore[misc]

    def _refuse_sparse(self, *arguments: Any) -> Any:
        raise InputError("it holds a sparse file, which is not supported", hint=_UNPACK)

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _open_tar(path: Path) -> tarfile.TarFile | None:
    """The tar at `path`, or None if it is something else."""
    _limit_xz_memory(path)
    try:
        return tarfile.open(path, tarinfo=_LimitedTarInfo)
    except tarfile.TarError:
        return None


def _limit_xz_memory(path: Path) -> None:
    """Refuse an xz file that needs much memory. tarfile sets no limit itself."""
    with open(path, "rb") as file:
        if file.read(6) != b"\xfd7zXZ\0":
            return
        file.seek(0)
        decompressor = lzma.LZMADecompressor(memlimit=MAX_LZMA)
        while block := decompressor.unused_data or file.read(_BLOCK):
            if decompressor.eof:  # the next of several streams
                decompressor = lzma.LZMADecompressor(memlimit=MAX_LZMA)
            decompressor.decompress(block, _BLOCK)
            while not (decompressor.needs_input or decompressor.eof):
                decompressor.decompress(b"", _BLOCK)


def _tar_openers(path: Path, tar: tarfile.TarFile) -> FileOpeners:
    def opener(member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        return lambda: cast(IO[bytes], tar.extractfile(member))

    members = []
    while (member := tar.next()) is not None:
        member.pax_headers = {}  # a copy of the archive's global header, however long that is
        members.append(member)
        if len(members) > MAX_MEMBERS:
            raise InputError("it holds too many files", file=path, hint=_UNPACK)
    assert tar.fileobj is not None
    while tar.fileobj.read(_BLOCK):
        pass  # the checksum of a compressed tar comes after the last member
    _refuse_escapes(path, [member.name for member in members])
    return {member.name: opener(member) for member in members if member.isfile()}


def _refuse_escapes(path: Path, names: list[str]) -> None:
    for name in names:
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", name):
            message = f"{name!r} leaves the archive's folder"
            raise InputError(message, file=path, hint="nothing of it was read")


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
        return bytes(response.read(_RECEIVED))
    except OSError as error:  # of the connection; any other OSError is the disk's
        raise http.client.HTTPException(str(error)) from None
