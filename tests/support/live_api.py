"""The HTTP API on a real port: in a thread over any service, or as a process over settings."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import httpx

from api.app import create_app
from api.clients import Limits
from api.guard import LOOPBACK_HOSTS
from api.server import Server
from safeurl.ports.queue import WakeQueue
from safeurl.service import Service
from tests.support.failing import FailingQueue, FailingStore
from tests.support.finished_scan import Life, finish_as_phishing

#: The time of every service in memory, unless a test moves it.
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

_JOIN_S = 20.0
_SERVE = (
    "import logging, os; from api.app import serve; from safeurl.settings.core import Settings; "
    "logging.basicConfig(level='INFO'); "
    "serve(Settings.read(os.environ), lambda line: print(line, flush=True))"
)


class MemoryApi:
    """An API over the shipped fakes, whose faults a test can switch."""

    def __init__(self, client: httpx.Client, store: FailingStore, queue: FailingQueue) -> None:
        """Store the running parts."""
        self.client = client
        self.store = store
        self.queue = queue

    def submit(self, url: str = "https://www.example.com/") -> str:
        """Submit a URL and return the scan's id."""
        answer = self.client.post("/api/scans", json={"url": url})
        assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
        return str(answer.json()["id"])

    async def finish(self, scan_id: str) -> None:
        """End the scan with the evidence of a phishing page."""
        await finish_as_phishing(self.store, scan_id, Life(now=NOW))


@contextlib.contextmanager
def memory_api() -> Iterator[MemoryApi]:
    """Serve the API over memory and yield it with its parts."""
    store, queue = FailingStore(), FailingQueue()
    with api_thread(Service(store, queue, lambda: NOW)) as client:
        yield MemoryApi(client, store, queue)


@contextlib.contextmanager
def api_thread(
    service: Service,
    hosts: frozenset[str] | None = LOOPBACK_HOSTS,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    queue: WakeQueue | None = None,
) -> Iterator[httpx.Client]:
    """Serve from a thread and yield a client of it; its queue is closed in the thread's loop."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = Server(create_app(service, hosts), limits)
        thread = threading.Thread(target=_run, args=(server, listener, queue))
        thread.start()
        try:
            with client_of(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(_JOIN_S)
            assert not thread.is_alive()


@contextlib.contextmanager
def api_process(
    environ: Mapping[str, str], prefix: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve from a separate process; yield it and its address once it listens.

    `prefix` is a command that runs the one after it, such as `prlimit`.
    """
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", _SERVE],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.kill()


def client_of(address: str) -> httpx.Client:
    """Return a client that connects to the address without a proxy."""
    # An empty context, because the default one reads the system's certificates, which takes long.
    nothing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(base_url=address, trust_env=False, timeout=30.0, verify=nothing)


def _run(server: Server, listener: socket.socket, queue: WakeQueue | None) -> None:
    async def run() -> None:
        await server.serve(sockets=[listener])
        if queue is not None:
            await queue.close()

    asyncio.run(run())
