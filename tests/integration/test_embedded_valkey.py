"""The embedded Valkey: one server per folder, however many are started."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from safeurl.adapters.redis.embedded import answers

_CODE = (
    "import sys; from pathlib import Path; from safeurl.adapters.redis.embedded import serve; "
    "serve(Path(sys.argv[1]), Path(sys.argv[1]) / 'valkey.sock')"
)


def test_one_server_per_folder(tmp_path: Path) -> None:
    """Of several started at once one serves; when it is killed, one of the others does."""
    started = [
        subprocess.Popen([sys.executable, "-c", _CODE, str(tmp_path)], stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    try:
        for _ in range(2):
            _until(lambda: answers(tmp_path / "valkey.sock"))
            time.sleep(1)  # for a second one to come up beside it
            [server] = [process for process in started if _serves(process)]
            server.kill()
            server.wait(timeout=10)
            started.remove(server)
    finally:
        for process in started:
            process.kill()
            process.wait(timeout=10)


def _serves(process: subprocess.Popen[bytes]) -> bool:
    return "valkey" in psutil.Process(process.pid).name()


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline, "no server answers"
        time.sleep(0.02)
