"""Measures whether a sandbox that floods its gateway slows down another sandbox."""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from safeurl.errors import EgressUnavailableError
from safeurl.ports.egress import EgressEndpoint
from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed
from worker.doctor.own_gateway import own_gateway
from worker.egress.client.client import EgressClient
from worker.egress.protocol import SOCKET_NAME, Caps, EgressPolicy
from worker.egress.unix_socket import short_path

_NAME: Final = "gateway-fairness"
#: A port without a DNS server: no name is resolved here.
_NO_RESOLVER: Final = 1
_REQUESTS: Final = 40
_DEADLINE_S: Final = 60.0
#: The check fails if requests take longer than this and longer than twice the time without a flood.
#: An attempt has seconds for each request; a busy machine alone adds some tens of milliseconds.
_SLOW_S: Final = 0.25
_ANSWER_S: Final = 5.0
#: The gateway refuses this without a DNS query or a connection: only the gateway is measured.
_REQUEST: Final = b"CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n"
#: The flood's server listens on loopback, and no cap ends the flood.
_FLOODS: Final = EgressPolicy(allow_cidrs=("127.0.0.0/8",), caps=Caps(max_bytes_out=2**40))
_CALM: Final = EgressPolicy(caps=Caps(max_connections=4 * _REQUESTS))
_ADVICE: Final = "Make sure that the machine has a free processor; then report it as a fault."


async def fairness(settings: Settings) -> Finding:
    """Flood the doctor's own gateway through one socket, and time requests through another."""
    if settings.container_network != "none":
        return passed(_NAME, f"not used with CONTAINER_NETWORK={settings.container_network}")
    try:
        async with own_gateway(settings, _NO_RESOLVER) as client:
            calm_s, beside_s = await _measure(client)
    except (EgressUnavailableError, TimeoutError, OSError) as error:
        return failed(_NAME, f"not tested: {type(error).__name__}: {error}", _ADVICE)
    return latency_finding(calm_s, beside_s)


def latency_finding(calm_s: float, beside_s: float) -> Finding:
    """Compare the 95th percentiles of the request times without and with the flood."""
    words = f"{beside_s * 1000:.1f} ms beside another sandbox's flood, {calm_s * 1000:.1f} ms alone"
    if beside_s > max(2 * calm_s, _SLOW_S):
        return failed(_NAME, f"requests take {words}", _ADVICE)
    return passed(_NAME, f"requests take {words}")


async def _measure(client: EgressClient) -> tuple[float, float]:
    calm, flooded = await _open(client, _CALM), await _open(client, _FLOODS)
    alone_s = await _p95_s(Path(calm.directory))
    async with _flooding(flooded.directory):
        return alone_s, await _p95_s(Path(calm.directory))


async def _open(client: EgressClient, policy: EgressPolicy) -> EgressEndpoint:
    made = await client.create()
    await client.bind(made.id, scan=_NAME, attempt=1, deadline_s=_DEADLINE_S, policy=policy)
    return made


@asynccontextmanager
async def _flooding(directory: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "worker.doctor.flood", directory),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_ANSWER_S):
            if process.stdout is None or not await process.stdout.readline():
                raise EgressUnavailableError("The flood did not begin.")
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _p95_s(directory: Path) -> float:
    times: list[float] = []
    while len(times) < _REQUESTS:
        times.append(await _request_s(directory))
        if times[-1] >= _ANSWER_S:
            # The sandbox is blocked; each further request would take as long.
            return times[-1]
    return statistics.quantiles(times, n=20)[-1]


async def _request_s(directory: Path) -> float:
    """Return the time until the gateway refused, at most the time that a scan would wait."""
    started = time.perf_counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(_ANSWER_S):
            with short_path(directory, SOCKET_NAME) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(_REQUEST)
                await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.transport.abort()
    return time.perf_counter() - started
