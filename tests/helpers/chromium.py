"""A page in headless Chromium, driven over the DevTools protocol's pipe: no driver to install.

Messages are JSON with a zero byte behind each; Chromium reads them from descriptor 3 and answers
on descriptor 4. Keys pressed here go the way that a keyboard's go.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAME = next((n for n in ("chromium", "chromium-browser", "google-chrome") if shutil.which(n)), None)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--remote-debugging-pipe")  # fmt: skip
PATIENCE = 120.0  # seconds for one answer, on a machine that trains beside the tests
KEYS = {"Enter": ("Enter", 13, "\r"), " ": ("Space", 32, " "), "Tab": ("Tab", 9, "")}


class Chromium:
    """One tab. As a context manager: the browser is gone, whatever happens, when it is left."""

    def __init__(self, folder: Path) -> None:
        assert NAME is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [NAME, *QUIET, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        joined = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", joined, "chromium", *command],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._unread, self._sent, self._session = b"", 0, ""
        self.said: list[str] = []  # what the page said on its console, errors included
        self.fetched: list[str] = []

    def __enter__(self) -> Chromium:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        os.close(self._out)
        os.close(self._in)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a message; events that come before it are kept."""
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._sent:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._record_event(answer)

    def open(self, page: Path) -> None:
        """Load a file, to the end."""
        self.ask("Page.navigate", url=page.as_uri())
        self.run("new Promise((done) => document.readyState === 'complete' ? done() :"
                 " addEventListener('load', done))")  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screen(self, width: int, height: int = 900, *, phone: bool = False) -> None:
        """The size of the window in CSS px."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def media(self, kind: str = "screen", scheme: str = "light") -> None:
        """Screen or print, light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=kind, features=features)

    def press(self, key: str) -> None:
        """One key, down and up, on what has the focus."""
        code, number, text = KEYS[key]
        known = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **known)

    def pdf(self, **options: Any) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", **options)["data"])

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium does not answer"
            read = os.read(self._in, 1 << 20)
            assert read, "Chromium has gone"
            self._unread += read
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def _record_event(self, event: dict[str, Any]) -> None:
        method, what = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(what["exceptionDetails"]))
        elif method in ("Runtime.consoleAPICalled", "Log.entryAdded"):
            self.said.append(json.dumps(what))
        elif method == "Network.requestWillBeSent":
            self.fetched.append(what["request"]["url"])
