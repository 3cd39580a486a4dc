"""Gets a data set's raw files into <data_path>/<name>/raw, with their checksums verified.

`llm4rec fetch` is the command (cli/datasets.py). The property file names the files (spec.py).
"""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path

from llm4rec_recbole.datasets.download import Refused, download
from llm4rec_recbole.datasets.import_raw_files import import_raw_files
from llm4rec_recbole.datasets.spec import DOWNLOADS, DatasetSpec
from llm4rec_recbole.errors import InputError


def fetch(spec: DatasetSpec, raw: Path, archive: str | Path | None = None) -> list[str]:
    """Download the raw files into `raw`, or import them from `archive`. Return a line about each.

    Raises InputError for a wrong checksum, a broken connection and a corrupt archive. For a data
    set that a person must download, the error names the page and the terms. Existing files stay.
    """
    try:
        if archive is not None:
            return import_raw_files(spec, archive, raw)
        return _download(spec, raw)
    finally:  # an empty folder would look like a data set that lacks its files
        with suppress(OSError):
            raw.rmdir()


def _download(spec: DatasetSpec, raw: Path) -> list[str]:
    _refuse_manual_downloads(spec)
    downloads = raw / DOWNLOADS
    if spec.archive is not None:
        assert spec.archive.url is not None
        urls = {spec.archive.name: (spec.archive.url, False)}
    else:
        urls = {
            file.url.rpartition("/")[2]: (file.url, file.optional)
            for files in spec.files.values()
            for file in files
            if file.url is not None
        }
    for name, (url, optional) in urls.items():
        if (downloads / name).is_file():  # complete since an earlier call that broke off
            continue
        try:
            download(url, downloads / name)
        except Refused as error:  # after a broken connection, the next call continues instead
            if not optional:
                raise
            print(error, file=sys.stderr)
    archive = downloads if spec.archive is None else downloads / spec.archive.name
    try:
        lines = import_raw_files(spec, archive, raw)
    except InputError as error:  # download the wrong file again, but not the others
        wrong = downloads / Path(error.file or "").name
        for path in [wrong] if wrong.is_file() else list(downloads.iterdir()):
            path.unlink()
        with suppress(OSError):
            downloads.rmdir()
        raise
    shutil.rmtree(downloads)
    return lines


def _refuse_manual_downloads(spec: DatasetSpec) -> None:
    """Raises InputError if a person must download the data set, or if no address is known."""
    own_copy = f"llm4rec fetch {spec.dataset} --from FOLDER"
    if spec.license_agreement:
        names = ", ".join(files[0].name for files in spec.files.values())
        message = f"{spec.dataset} needs your consent: accept {spec.license_agreement}, and "
        message += f"download {names} from {spec.homepage}"
        raise InputError(message, hint=f"then: {own_copy}")
    if spec.archive is not None and spec.archive.url:
        return
    for files in spec.files.values():
        if not any(file.url or file.optional for file in files):
            message = f"{spec.dataset} has no known address of {files[0].name}"
            hint = f"your own copy: {own_copy}"
            raise InputError(f"{message}; see {spec.homepage}", hint=hint)
