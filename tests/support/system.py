"""A running SafeURL: `safeurl worker` as a real process with its own state folder."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from safeurl.bootstrap import open_service, open_store
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.settings import Settings
from safeurl.state import is_final
from tests.support.images import docker_client

T = TypeVar("T")

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 90.0


def bridge_gateway() -> str:
    """Return the host's address on Docker's default bridge, by which sandboxes reach test pages."""
    with docker_client() as client:
        config = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        return str(config.get("Gateway") or "172.17.0.1")


class System:
    """One installation: settings over a folder, and the commands run against it."""

    def __init__(self, state_dir: Path, **settings: str) -> None:
        """Store the folder and further settings by their variable's name."""
        self.environ = _environ(state_dir, settings)
        self.settings = Settings.read(self.environ)

    def command(
        self, *arguments: str, program: str = "safeurl", stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Start one of our commands with its output piped."""
        return subprocess.Popen(
            [sys.executable, "-c", ENTRIES[program], *arguments],
            env=self.environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *arguments: str,
        program: str = "safeurl",
        stdin: str = "",
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our commands to its end."""
        with self.command(*arguments, program=program, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def with_store(self, act: Callable[[Store], Awaitable[T]]) -> T:
        """Run `act` with the installation's store open."""

        async def run() -> T:
            async with open_store(self.settings) as store:
                return await act(store)

        return asyncio.run(run())

    def with_service(self, act: Callable[[Service], Awaitable[T]]) -> T:
        """Run `act` with the installation's service open."""

        async def run() -> T:
            async with open_service(self.settings) as service:
                return await act(service)

        return asyncio.run(run())

    def wait_final(self, scan_ids: list[str], timeout_s: float) -> list[Scan]:
        """Return the scans once all are final; raise TimeoutError with those that are not."""

        async def wait(store: Store) -> list[Scan]:
            deadline = time.monotonic() + timeout_s
            done: list[Scan] = []
            # One after the other, so that waiting for many costs the machine no more than for one.
            for scan_id in scan_ids:
                while (scan := await store.get(scan_id)) is None or not is_final(scan.state):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{len(scan_ids) - len(done)} scans are not final")
                    await asyncio.sleep(0.1)
                done.append(scan)
            return done

        return self.with_store(wait)

    def containers(self) -> list[str]:
        """Return the names of this installation's containers, running or not."""
        label = f"safeurl.instance={self.settings.instance}"
        with docker_client() as client:
            found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
            return [each.name for each in found]

    def containers_left(self, timeout_s: float = 30.0) -> list[str]:
        """Return the containers that are still there after a while.

        A worker removes the container of a scan after the scan is final.
        """
        until = time.monotonic() + timeout_s
        while (left := self.containers()) and time.monotonic() < until:
            time.sleep(0.1)
        return left


class RunningWorker:
    """`safeurl worker` of a system, from its first sign of life to a clean stop."""

    def __init__(self, system: System) -> None:
        """Store the system; nothing runs before the `with` block."""
        self.system = system
        self.log = system.settings.state_dir / "test-worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        """Start and wait for the first beat."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "safeurl.cli", "worker"],
                env=self.system.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_for_beat(self._process)
        except BaseException:
            # Nobody else would: without a start there is no `__exit__`.
            self.stop()
            raise
        return self

    def _wait_for_beat(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_beating():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"The worker did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _is_beating(self) -> bool:
        async def ask(service: Service) -> bool:
            return bool((await service.health()).workers)

        return self.system.with_service(ask)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


ENTRIES = {
    "safeurl": "from safeurl.cli import main; main()",
    "submit-scan": "from safeurl.cli import submit_main; submit_main()",
}


def _environ(state_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment without our settings, then with those given."""
    names = {str(field.alias) for field in Settings.model_fields.values()}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    # One runtime for all, whatever the engine has registered: the walls are tested under each. And
    # each scan starts its own sandbox, so that the containers of a system are those of its scans.
    runtime = {"CONTAINER_RUNTIME": "runc", "POOL_SIZE": "0"}
    # A developer's own settings file must not change a test.
    file = {"SAFEURL_ENV_FILE": "none"}
    return {**kept, **runtime, **file, **settings, "SAFEURL_STATE_DIR": str(state_dir)}
