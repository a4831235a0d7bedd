"""A Docker engine of the chaos' own, so that it may be killed without touching the machine's."""

import contextlib
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import requests
from docker.api.client import APIClient  # type: ignore[import-not-found]  # - docker/ hides the SDK
from docker.errors import DockerException  # type: ignore[import-not-found]  # - the same

from worker.sandbox.engine import is_listening

_START_TIMEOUT_S = 60.0
_STARTS = 5
_APART_S = 1.0
#: Lines of its log, where it does not.
_TOLD = 12
#: An engine that gets SIGTERM gives each container ten seconds.
_STOP_TIMEOUT_S = 60.0
#: A `dockerd` that sees the system's containerd uses it, and both have what they call `moby`.
#: What lives there of its own is found again when it was killed and started again.
_WITHOUT_SYSTEM_CONTAINERD = """
mkdir -p "$0" /run/containerd && mount --bind "$0" /run/containerd && exec "$@"
"""


class Engine:
    """One `dockerd` with its own containerd over a folder; it has no network to give."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process; 0 while it is down."""
        return self._process.pid if self._process else 0

    def client(self, timeout_s: float | None = 30.0) -> Any:
        """Return a client, which the caller closes; the SDK has no types; it reads the version."""
        return APIClient(f"unix://{self.socket}", version="auto", timeout=timeout_s)

    def start(self) -> None:
        """Start it and return when it answers; one that ends at once is started again.

        Its service manager does so too: after a crash it may take another process with the old
        number for itself.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_STARTS):
            # It is ended, we have seen it.
            (self.folder / "docker.pid").unlink(missing_ok=True)
            self._drop_stale(self.folder / "exec" / "containerd" / "containerd.pid")
            if self._starts():
                return
            time.sleep(_APART_S)
        lines = (self.folder / "dockerd.log").read_text(errors="replace").splitlines()
        raise RuntimeError("\n".join(["dockerd did not start:", *lines[-_TOLD:]]))

    def _starts(self) -> bool:
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    # In the machine's own network namespace it would take docker0 away.
                    *("unshare", "--net", "--mount", "--propagation", "slave", "--"),
                    *("sh", "-c", _WITHOUT_SYSTEM_CONTAINERD, str(self.folder / "shims")),
                    *("dockerd", "--host", f"unix://{self.socket}"),
                    *("--data-root", str(self.folder / "data")),
                    *("--exec-root", str(self.folder / "exec")),
                    *("--pidfile", str(self.folder / "docker.pid")),
                    *("--bridge=none", "--iptables=false", "--ip-forward=false"),
                    "--ip-masq=false",
                    *("--config-file", str(self._config())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                self.stop(kill=True)
                return False
            time.sleep(0.05)
        return True

    @staticmethod
    def _drop_stale(pid_file: Path) -> None:
        """Remove a file that names a process which is no longer the engine's containerd.

        It ends with its dockerd; while it is a zombie, the next dockerd believes that it runs.
        """
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int(pid_file.read_text(encoding="ascii"))
            if not _lives(pid, "containerd"):
                pid_file.unlink()

    def _config(self) -> Path:
        # The machine's own daemon.json is about the machine's engine.
        path = self.folder / "daemon.json"
        path.write_text("{}", encoding="ascii")
        return path

    def stop(self, *, kill: bool) -> None:
        """Stop it: with `kill` as in a crash, during which its containers continue."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=_STOP_TIMEOUT_S)
        self._process = None

    def load(self, archive: Path) -> None:
        """Load images that another engine has saved."""
        client = self.client(120.0)
        try:
            with archive.open("rb") as data:
                for _ in client.load_image(data):
                    pass
        finally:
            client.close()

    def sandboxes(self) -> list[str]:
        """Return the names of our containers, running or not."""
        client = self.client()
        try:
            listed = client.containers(all=True, filters={"label": "safeurl.managed=true"})
        finally:
            client.close()
        return [each["Names"][0].removeprefix("/") for each in listed if each["Names"]]

    def kill_container(self, name: str) -> bool:
        """Kill a container, as an operator may; return False if that does not succeed."""
        with (
            contextlib.suppress(DockerException, requests.RequestException, OSError),
            contextlib.closing(self.client()) as client,
        ):
            client.kill(name)
            return True
        return False

    def _answers(self) -> bool:
        if not is_listening(str(self.socket)):
            return False
        try:
            with contextlib.closing(self.client(2.0)) as client:
                return bool(client.ping())
        except (DockerException, requests.RequestException, OSError):
            return False


def _lives(pid: int, name: str) -> bool:
    """Return whether the process has this name and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    head, _, rest = status.rpartition(")")
    return head.partition("(")[2] == name and rest.split()[0] not in {"Z", "X"}


def save_image(name: str, archive: Path) -> None:
    """Write an image of the machine's engine to a file."""
    command = ["docker", "save", "--output", str(archive), name]
    subprocess.run(command, check=True, timeout=120)


def release_mounts(folder: Path) -> list[str]:
    """Unmount what engines have mounted below the folder; return the paths."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [point for line in lines if (point := line.split()[1]).startswith(f"{folder}/")]
    for point in reversed(points):
        command = ["umount", "--lazy", point]
        subprocess.run(command, check=False, timeout=30)
    return points
