"""A host with systemd, seen from outside: its units, its API, and the engine's sandboxes."""

import io
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
from docker.models.containers import (  # type: ignore[import-not-found]  # docker/ hides the SDK
    Container,
)

from safeurl.settings import Settings
from worker.sandbox import labels

UNITS = ("safeurl-gateway", "safeurl-worker", "safeurl-api")
SAFEURL = "/opt/safeurl/.venv/bin/safeurl"
#: Where a change of a unit is written.
DROP_IN = "etc/systemd/system/{unit}.service.d/{name}.conf"

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Said:
    """The output of a command in the host, both streams in one."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class SystemdHost:
    """The container, seen from outside."""

    container: Container
    #: The installation's settings, as the worker reads them.
    settings: Settings
    #: The test's own address on the host's network, which scans may reach.
    outside: str
    _api: httpx.Client = field(repr=False)

    def run(self, *command: str, timeout_s: int = 30, user: str = "root", **environ: str) -> Said:
        """Run a command to its end, or to `timeout_s` (status 124)."""
        bounded = ["timeout", "--kill-after=1", str(timeout_s), *command]
        status, output = self.container.exec_run(bounded, user=user, environment=environ)
        return Said(status, output.decode(errors="replace"))

    def check(self, *command: str, timeout_s: int = 30) -> str:
        """Run a command that must succeed, and return its output."""
        said = self.run(*command, timeout_s=timeout_s)
        assert said.status == 0, f"{command}: {said.text}"
        return said.text

    def safeurl(self, *arguments: str, timeout_s: int = 60) -> Said:
        """Run our command as the service's user."""
        return self.run(
            SAFEURL,
            *arguments,
            timeout_s=timeout_s,
            user="safeurl",
            **environ_of(self.settings),
        )

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.check("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def main_pid(self, unit: str) -> int:
        """Return the unit's main process; 0 when it has none."""
        return int(self.show(unit, "MainPID"))

    def await_new(self, unit: str, pid: int) -> None:
        """Wait until the unit has another main process than this."""
        until(lambda: self.main_pid(unit) not in {0, pid}, 20, self.journal)

    def children(self, unit: str) -> set[int]:
        """Return the processes that the unit's main process has forked."""
        pid = self.main_pid(unit)
        return set(map(int, self.check("cat", f"/proc/{pid}/task/{pid}/children").split()))

    def sandboxes(self) -> list[str]:
        """Return the names of the sandboxes of scans, but not of those that wait for one."""
        return [name for name in self.containers() if not labels.is_unclaimed(name)]

    def containers(self) -> list[str]:
        """Return the names of all this installation's containers on the host's engine."""
        found = {"label": f"safeurl.instance={self.settings.instance}"}
        listed = self.container.client.api.containers(all=True, filters=found)
        return [str(each["Names"][0]).removeprefix("/") for each in listed if each["Names"]]

    def kill(self, pid: int, signal: str = "KILL") -> None:
        """Send a signal to one process."""
        self.check("sh", "-c", f"kill -{signal} {pid}")

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by their path from the root."""
        assert self.container.put_archive("/", packed(files))

    def drop_in(self, unit: str, name: str, text: str) -> None:
        """Change a unit; the change is effective from the unit's next start."""
        self.write({DROP_IN.format(unit=unit, name=name): text})
        self.check("systemctl", "daemon-reload")

    def revert(self, unit: str, name: str) -> None:
        """Remove a change."""
        self.check("rm", "/" + DROP_IN.format(unit=unit, name=name))
        self.check("systemctl", "daemon-reload")

    def submit(self, url: str) -> str:
        """Submit a URL and return the scan's id."""
        answer = self._api.post("/api/scans", json={"url": url})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["id"])

    def state(self, scan_id: str) -> str:
        """Return the scan's state; empty while the API is away."""
        try:
            answer = self._api.get(f"/api/scans/{scan_id}")
        except httpx.TransportError:
            return ""
        return str(answer.json()["state"]) if answer.is_success else ""

    def health(self) -> str:
        """Return the API's health; empty while it is away."""
        try:
            return str(self._api.get("/health").json()["health"]["status"])
        except httpx.TransportError:
            return ""

    def is_active(self) -> bool:
        """Return whether systemd calls all units active."""
        said = self.run("systemctl", "is-active", *UNITS)
        return said.status == 0

    def is_well(self) -> bool:
        """Return whether all units are active and the API finds nothing wrong."""
        return self.is_active() and self.health() == "healthy"

    def recovered(self, url: str, timeout_s: float = 45.0) -> None:
        """Wait until all is well again and a new scan is completed."""
        until(self.is_well, timeout_s, self.journal)
        self.completed(self.submit(url), timeout_s)

    def completed(self, scan_id: str, timeout_s: float = 45.0) -> None:
        """Wait until the scan is completed; another final state is a failure."""
        final = {"COMPLETED", "FAILED", "TIMED_OUT"}
        until(lambda: self.state(scan_id) in final, timeout_s, self.journal)
        assert self.state(scan_id) == "COMPLETED"

    def journal(self, *options: str) -> str:
        """Return the last of the units' journal."""
        units = [f"--unit={unit}" for unit in UNITS]
        return self.check("journalctl", "--no-pager", "--lines=60", *units, *options)


def until(true: Callable[[], object], timeout_s: float, why: Callable[[], str] = str) -> None:
    """Wait until the condition is true; else raise TimeoutError with the text of `why`."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(why())
        time.sleep(_POLL_S)


def environ_of(settings: Settings) -> dict[str, str]:
    """Return those settings that are not the default, as environment variables."""
    pairs = ((key, getattr(settings, key)) for key in settings.model_fields_set)
    return {
        str(type(settings).model_fields[key].alias): _text(value) for key, value in sorted(pairs)
    }


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def packed(files: Mapping[str, str]) -> bytes:
    """Return files as a tar archive, the format that Docker needs."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()
