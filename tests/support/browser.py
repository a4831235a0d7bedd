"""A real browser: one tab of a headless Chromium, driven over the DevTools protocol."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

# What a browser answers is JSON.
Json = Any

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
#: Seconds for what a page does by itself.
_TIMEOUT_S = 20.0


class Browser:
    """One tab of a headless Chromium, controlled through a pair of pipes."""

    def __init__(self, folder: Path) -> None:
        """Start it; its profile is in the folder."""
        program = next(filter(None, map(shutil.which, _NAMES)), None)
        assert program, "There is no Chromium: run bash docker/setup.sh --tests."
        ours, theirs = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4; ours lie above, so that none hides another.
        asks, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours[0], theirs[1]))
        os.close(ours[0])
        os.close(theirs[1])
        self._out = os.fdopen(ours[1], "wb", buffering=0)
        self._in = os.fdopen(theirs[0], "rb")
        options = (
            f"--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
            f"--remote-debugging-pipe --user-data-dir={folder}"
        )
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$0" {options} 3<&{asks} 4>&{answers}', program],
            pass_fds=(asks, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asks)
        os.close(answers)
        self._number = 0
        self._session: str | None = None
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]

    def tell(self, method: str, **arguments: Json) -> Json:
        """Give one command of the DevTools protocol and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": arguments}
        if self._session is not None:
            command["sessionId"] = self._session
        self._out.write(json.dumps(command).encode() + b"\0")
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Json:
        """Return the value of the expression in the page, once it exists."""
        answer = self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Return once the expression is true."""
        end = time.monotonic() + _TIMEOUT_S
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < end, f"{script}: {self.run('document.body.innerText')}"
            time.sleep(0.02)

    def close(self) -> None:
        """End it, with the processes that it has started."""
        self._session = None
        with contextlib.suppress(OSError, AssertionError):
            self.tell("Browser.close")
        try:
            self._process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._in.close()

    def _message(self) -> bytes:
        message = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "The browser has gone."
            message += byte
        return bytes(message)
