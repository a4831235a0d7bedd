"""Watching which sandboxes live at once, from the engines' own events."""

import contextlib
import threading
import time
from collections.abc import Iterable

import requests
from docker.errors import DockerException  # type: ignore[import-not-found]  # - docker/ hides the SDK

from tests.chaos.engine import Engine
from worker.sandbox import labels

_FILTER = {
    "label": f"{labels.MANAGED}=true",
    "type": "container",
    "event": ["start", "rename", "die"],
}


class SandboxWatch:
    """The sandboxes that run now on all engines, and those that should not have run."""

    def __init__(self, engines: Iterable[Engine]) -> None:
        """Begin to follow the engines, each in a thread that lives as long as we do."""
        self._lock = threading.Lock()
        self._live: dict[str, tuple[str, int]] = {}
        self.started = 0
        #: Two running containers of one attempt.
        self.twins: list[str] = []
        #: A new attempt ran at the same time as the container of an older one: allowed, reported.
        self.overlaps: list[str] = []
        for engine in engines:
            threading.Thread(target=self._follow, args=(engine,), daemon=True).start()

    def _follow(self, engine: Engine) -> None:
        known: set[str] = set()
        while True:
            # An engine that is being killed ends its stream in many ways, all expected here.
            with contextlib.suppress(DockerException, requests.RequestException, OSError):
                self._follow_once(engine, known)
            time.sleep(0.1)

    def _follow_once(self, engine: Engine, known: set[str]) -> None:
        client = engine.client(None)
        try:
            events = client.events(decode=True, filters=_FILTER)
            listed = client.containers(filters={"label": f"{labels.MANAGED}=true"})
            for container_id in known - {each["Id"] for each in listed}:
                self._ended(container_id)
            known.intersection_update(each["Id"] for each in listed)
            for event in events:
                container_id = event["Actor"]["ID"]
                if event["Action"] == "die":
                    known.discard(container_id)
                    self._ended(container_id)
                # A sandbox of a pool gets its attempt with its name, long after its start.
                elif owner := labels.attempt_of(event["Actor"]["Attributes"]["name"]):
                    known.add(container_id)
                    self._began(container_id, *owner)
        finally:
            client.close()

    def _began(self, container_id: str, scan: str, attempt: int) -> None:
        with self._lock:
            self.started += 1
            for other, (other_scan, other_attempt) in self._live.items():
                if other_scan == scan and other != container_id:
                    found = self.twins if other_attempt == attempt else self.overlaps
                    found.append(f"{scan} attempts {other_attempt} and {attempt}")
            self._live[container_id] = scan, attempt

    def _ended(self, container_id: str) -> None:
        with self._lock:
            self._live.pop(container_id, None)
