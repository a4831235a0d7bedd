"""A Redis that accepts connections but does not answer: no wait is long, no thread blocks."""

import asyncio
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import pytest

from api.clients import Limits
from safeurl.adapters.memory.store import MemoryStore
from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.queue import RQQueue
from safeurl.errors import QueueUnavailableError
from safeurl.model.scan import new_scan_id
from safeurl.service import Service
from tests.support.live_api import NOW, api_thread
from tests.support.tcp_valkey import TcpValkey

#: More than asyncio has threads on any machine that this runs on, and than a queue has connections.
_REQUESTS: Final = 48
_SILENCE: Final = re.compile("Redis does not answer: silent for 3 seconds")
#: How asyncio names the threads that calls are sent to.
_ASYNCIO_THREAD: Final = "asyncio_"


def _ids(count: int = 1) -> list[str]:
    return [new_scan_id(datetime.now(UTC)) for _ in range(count)]


def _threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith(_ASYNCIO_THREAD)}


async def _nothing(_writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""


async def _half(writer: asyncio.StreamWriter) -> None:
    """Answer the first part of a string."""
    writer.write(b"$1000\r\nabc")


async def _drops(writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time, for ever: no read waits long."""
    writer.write(b"$100000000\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.2)


async def _busy(writer: asyncio.StreamWriter) -> None:
    """Greet like a server whose only thread is then blocked by a script."""
    writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n+OK\r\n")


_KINDS: Final = {"nothing": _nothing, "half": _half, "drops": _drops, "busy": _busy}


@asynccontextmanager
async def _server(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[RedisServer]:
    """Run a server that answers so, and reads all that it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.ensure_future(answer(writer))
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        answering.cancel()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield RedisServer(host="127.0.0.1", port=port, socket_path=Path())


@pytest.mark.parametrize("kind", _KINDS)
async def test_every_call_has_a_deadline(kind: str) -> None:
    """For every kind of silence, a push and a read end, and name the time."""

    async def told(call: Awaitable[object]) -> str:
        with pytest.raises(QueueUnavailableError) as caught:
            await call
        return str(caught.value)

    async def act() -> list[str]:
        async with _server(_KINDS[kind]) as server:
            queue = RQQueue(server.connect(), job_timeout_s=30)
            calls = (queue.push(_ids()), queue.push(_ids(), first=True), queue.ping())
            found = await asyncio.gather(*map(told, (*calls, queue.refused())))
            await queue.close()
            return found

    for words in await act():
        assert _SILENCE.match(words)


async def _hanging(client: httpx.AsyncClient) -> None:
    """Submit scans and read the health, all at the same time."""
    posts = [
        client.post("/api/scans", json={"url": f"https://www.example.com/{number}"})
        for number in range(_REQUESTS)
    ]
    looks = [client.get("/health") for _ in range(_REQUESTS)]
    taken, seen = await asyncio.gather(asyncio.gather(*posts), asyncio.gather(*looks))
    for answer in taken:
        assert (answer.status_code, answer.json()["queued"]) == (HTTPStatus.ACCEPTED, False)
        assert _SILENCE.match(answer.json()["warning"])
    for answer in seen:
        assert answer.status_code == HTTPStatus.OK
        assert answer.json()["queue"]["ok"] is False
        assert _SILENCE.match(answer.json()["queue"]["detail"])


async def _use(address: str, idle: set[threading.Thread]) -> None:
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        hanging = asyncio.ensure_future(_hanging(client))
        pages = ("/", "/ui/app.js", "/api/scans?limit=5", f"/api/scans/{_ids()[0]}")
        while not hanging.done():
            answers = [await client.get(page) for page in pages]
            assert [each.status_code for each in answers] == [200, 200, 200, 404]
            assert _threads() <= idle
        await hanging


async def _is_back(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        for _ in range(_REQUESTS):
            assert (await client.get("/health")).json()["queue"]["ok"]
        answer = await client.post("/api/scans", json={"url": "https://www.example.com/"})
        assert answer.json()["queued"]


async def test_a_silent_redis_does_not_starve_the_api(tmp_path: Path) -> None:
    """A real server is stopped at work, as by a debugger or a host that swaps.

    Scans are taken, the health is returned and pages are served meanwhile. When the server
    continues, its late responses cause no errors.
    """
    idle = _threads()
    with TcpValkey(tmp_path) as valkey:
        server = RedisServer(host="127.0.0.1", port=valkey.port, socket_path=Path())
        queue = RQQueue(server.connect(), job_timeout_s=30)
        service = Service(MemoryStore(), queue, lambda: NOW)
        with api_thread(service, limits=Limits(per_client=4 * _REQUESTS), queue=queue) as client:
            address = str(client.base_url)
            await _is_back(address)
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                await _use(address, idle)
            finally:
                os.kill(valkey.pid, signal.SIGCONT)
            await _is_back(address)
            assert _threads() <= idle
