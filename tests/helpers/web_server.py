"""A web server for the tests, on this machine: it can break connections and be asked for parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """Serves `files`; gives up after `breaks_after` bytes of an answer; remembers the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks_after: int | None = None
        self.version = '"1"'
        self.ignores_if_range = False
        self.part_from: int | None = None  # where its parts begin; None: where it was asked to
        self.length: str | None = None  # what it says of the length; None: the truth
        self.asked: list[tuple[str, str | None]] = []  # path, Range
        self.address = ""


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            web.asked.append((self.path, wanted))
            content = web.files.get(self.path.lstrip("/"))
            if content is None:
                return self.send_error(404)
            start = 0
            if wanted and (web.ignores_if_range or self.headers["If-Range"] == web.version):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    return self.send_error(416)
            self.send_response(206 if start else 200)
            if start:
                start = start if web.part_from is None else web.part_from
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/*")
            self.send_header("ETag", web.version)
            self.send_header("Content-Length", web.length or str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: web.breaks_after])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
