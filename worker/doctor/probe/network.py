"""Vectors: ways out of the sandbox other than the gateway."""

import errno
import socket
from pathlib import Path
from typing import Any

from worker.doctor.probe.syscall_result import Task, connect_result, errno_name, lines

_OWN = ("127.0.0.1", "::1")
_EGRESS = Path("/run/egress")
_NO_ROUTE = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def interfaces(_task: Task) -> list[str]:
    """Return the names of the network interfaces."""
    return [line.partition(":")[0].strip() for line in lines("/proc/net/dev")[2:]]


def routes(_task: Task) -> list[str]:
    """Return the routes to other hosts."""
    rows = [line.split() for line in lines("/proc/net/route")[1:]]
    found = [row[:3] for row in rows if row and row[0] != "lo"]
    more = [line.split() for line in lines("/proc/net/ipv6_route")]
    found += [[row[-1], row[0], row[1]] for row in more if row and row[-1] != "lo"]
    return [" ".join(row) for row in found]


def connections(task: Task) -> dict[str, str]:
    """Return the result of a connection to each address; `route` if there is a route to it."""
    return {f"{host} {port}": _attempt(host, port) for host, port in task["connections"]}


def _attempt(host: str, port: int) -> str:
    """Connect only if no packet can leave: to loopback, or if the kernel has no route.

    A datagram socket shows whether there is a route; its connect() sends nothing.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if host not in _OWN:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asking:
                asking.connect((host, port))
        except OSError as error:
            return (
                connect_result(family, (host, port))
                if error.errno in _NO_ROUTE
                else errno_name(error)
            )
        return "route"
    return connect_result(family, (host, port))


def dns(task: Task) -> str:
    """Return the result of a DNS query; query only if the kernel has no route to other hosts."""
    if routes(task):
        return "route"
    try:
        socket.getaddrinfo("doctor.invalid", 80)
    except socket.gaierror as error:
        return "answered" if error.errno == socket.EAI_NONAME else "unanswered"
    return "answered"


def neighbour(task: Task) -> dict[str, Any]:
    """Return whether another sandbox's socket can be reached by its path on the host."""
    there = Path(task["neighbour"])
    name = there.parent.name
    paths = [there, _EGRESS.parent / name / there.name, _EGRESS / ".." / name / there.name]
    return {
        "connect": {str(path): connect_result(socket.AF_UNIX, str(path)) for path in paths},
        "folder": sorted(path.name for path in _EGRESS.iterdir()) if _EGRESS.is_dir() else [],
    }


VECTORS = {each.__name__: each for each in (interfaces, routes, connections, dns, neighbour)}
