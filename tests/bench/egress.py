"""The egress gateway's figures: bytes through 200 tunnels, memory of 1,000, time of one CONNECT.

The gateway is a separate process, as in production. The source and the sink of the bytes are two
more processes, so that on two cores the gateway gets less than one of them. `python -m
tests.bench.egress` prints the figures.
"""

import multiprocessing
import selectors
import socket
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.egress import (
    GatewayProcess,
    connect,
    connect_head,
    lab_policy,
    tunnel,
)

_BLOCK = memoryview(bytes(1024 * 1024))
_ROOMY = lab_policy(
    max_connections=65_536,
    max_concurrent=2_048,
    max_bytes_in=2**40,
    max_bytes_out=2**40,
    bytes_per_second=2**40,
)


@dataclass(frozen=True, slots=True)
class Throughput:
    """The bytes that the tunnels transferred, and the used resources."""

    gbit_per_s: float
    #: The gateway's own use of processors, in cores.
    gateway_cores: float
    #: The same bytes between the same processes without the gateway.
    direct_gbit_per_s: float


def throughput(folder: Path, tunnels: int = 200, seconds: float = 5.0) -> Throughput:
    """Pull bytes through that many tunnels at once from a server that always has more."""
    with ExitStack() as stack:
        gateway = stack.enter_context(GatewayProcess(folder))
        port = stack.enter_context(_Source()).port
        directory = gateway.open(_ROOMY)[1]
        direct = _pull([_direct(port) for _ in range(tunnels)], seconds)
        pulled = [tunnel(directory, f"127.0.0.1:{port}")[0] for _ in range(tunnels)]
        before = gateway.cpu_s()
        started = time.monotonic()
        rate = _pull(pulled, seconds)
        cores = (gateway.cpu_s() - before) / (time.monotonic() - started)
    return Throughput(rate, cores, direct)


def idle_megabytes(folder: Path, tunnels: int = 1000) -> tuple[float, float]:
    """Return the gateway's memory in MB before and with that many open, silent tunnels."""
    with ExitStack() as stack:
        gateway = stack.enter_context(GatewayProcess(folder))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        directory = gateway.open(_ROOMY)[1]
        before = gateway.memory_bytes()
        for _ in range(tunnels):
            stack.enter_context(tunnel(directory, where)[0])
            stack.enter_context(listener.accept()[0])
        return before / 1e6, gateway.memory_bytes() / 1e6


def connect_milliseconds(folder: Path, rounds: int = 300) -> tuple[float, float]:
    """Return the median time to an open connection, through the gateway and directly."""
    with GatewayProcess(folder) as gateway, _Source() as source:
        directory = gateway.open(_ROOMY)[1]
        where = connect_head(f"127.0.0.1:{source.port}")
        through, direct = [], []
        for _ in range(rounds):
            started = time.perf_counter()
            with connect(directory) as connection:
                connection.sendall(where)
                connection.recv(4096)
                through.append(time.perf_counter() - started)
            started = time.perf_counter()
            with _direct(source.port):
                direct.append(time.perf_counter() - started)
    return statistics.median(through) * 1000, statistics.median(direct) * 1000


class _Source:
    """A process that sends zeros to every client, as fast as the client reads."""

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = listener.getsockname()[1]
        self._process = multiprocessing.get_context("fork").Process(target=_send, args=(listener,))
        self._process.start()
        listener.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _send(listener: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    taker, _ = listener.accept()
                    taker.settimeout(0)
                    selector.register(taker, selectors.EVENT_WRITE, taker)
                    continue
                try:
                    key.data.send(_BLOCK)
                except OSError:
                    selector.unregister(key.data)
                    key.data.close()


def _direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _pull(takers: list[socket.socket], seconds: float) -> float:
    """Read from all sockets for a while and close them; return the rate in Gbit/s."""
    buffer, total = bytearray(1024 * 1024), 0
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for taker in takers:
            stack.enter_context(taker).settimeout(0)
            selector.register(taker, selectors.EVENT_READ, taker)
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            for key, _ in selector.select(1.0):
                total += key.data.recv_into(buffer)
    return total * 8 / elapsed / 1e9


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rate = throughput(folder)
        before, after = idle_megabytes(folder)
        through, direct = connect_milliseconds(folder)
    lines = (
        f"200 tunnels: {rate.gbit_per_s:.1f} Gbit/s with {rate.gateway_cores:.2f} cores",
        f"the same without the gateway: {rate.direct_gbit_per_s:.1f} Gbit/s",
        f"1,000 idle tunnels: {after:.0f} MB ({before:.0f} MB before)",
        f"to an open connection: {through:.2f} ms through the gateway, {direct:.2f} ms directly",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
