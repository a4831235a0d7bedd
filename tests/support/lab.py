"""A small Internet inside a network namespace: own DNS at port 53, own public addresses.

`run_in_lab(Scenario(...), request)` runs the fetcher, once for each request, where `PUBLIC_V4`
and `PUBLIC_V6` are addresses of the loopback device, the resolver asks our scripted DNS server,
and the standard pages, or a site of `tests.browser.cases`, stand on port 80 of every address. No
packet leaves the namespace, so the default address policy can be tested as it is. Needs `unshare`
with user namespaces, or root.
"""

import contextlib
import fcntl
import importlib
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.browser.origin import serve_site
from tests.support.dns import DnsServer
from tests.support.fetching import COMMAND, ROOT, Run, read_lines
from tests.support.pages import PageServer
from tests.support.routes import STANDARD_ROUTES, standard

#: Not private, reserved or documentation, so the policy lets them through.
PUBLIC_V4 = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net")
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCGIFINDEX = 0x8914, 0x8916, 0x8933
_IFF_UP = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """The responses of the DNS; see `tests.support.dns`."""

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sequences: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    #: Lines of resolv.conf in addition to the name server.
    resolver_lines: Sequence[str] = ()
    #: The module of `tests.browser.cases` whose `SITE` replaces the standard pages.
    site: str = ""


@dataclass(frozen=True, slots=True)
class LabRun:
    """The fetcher's runs, the queries of the DNS, and the requests of the pages by host."""

    runs: tuple[Run, ...]
    questions: list[list[str]]
    requests: list[list[str]]

    @property
    def run(self) -> Run:
        """The one run."""
        (run,) = self.runs
        return run


def run_in_lab(scenario: Scenario, *requests: bytes) -> LabRun:
    """Run one fetch after the other inside the lab."""
    done = subprocess.run(
        (*_UNSHARE, sys.executable, "-m", "tests.support.lab"),
        input=json.dumps(
            {"scenario": asdict(scenario), "requests": [line.decode() for line in requests]}
        ).encode(),
        capture_output=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"the lab failed: {done.stderr.decode()}")
    said = json.loads(done.stdout)
    runs = (Run(code, read_lines(out.encode()), err) for code, out, err in said["runs"])
    return LabRun(tuple(runs), said["questions"], said["requests"])


def _add_addresses() -> None:
    """Start loopback and give it the public addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4:
        fcntl.ioctl(v4, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(PUBLIC_V4))
        fcntl.ioctl(v4, _SIOCSIFADDR, struct.pack("16s16s", b"lo:1", packed))
        index = struct.unpack("16xi", fcntl.ioctl(v4, _SIOCGIFINDEX, struct.pack("16s4x", b"lo")))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6:
        packed = socket.inet_pton(socket.AF_INET6, PUBLIC_V6)
        fcntl.ioctl(v6, _SIOCSIFADDR, struct.pack("16sIi", packed, 128, index[0]))
    _wait_until_usable(PUBLIC_V6)


def _wait_until_usable(address: str) -> None:
    """Wait until the kernel allows an IPv6 address to be used."""
    for _ in range(100):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind((address, 0))
            return
        time.sleep(0.05)
    raise TimeoutError(f"{address} cannot be used")


def _use_own_dns(folder: Path, lines: Sequence[str]) -> None:
    own = folder / "resolv.conf"
    own.write_text("\n".join(["nameserver 127.0.0.1", *lines, ""]))
    subprocess.run(("/bin/mount", "--bind", str(own), "/etc/resolv.conf"), check=True)


def _script(dns: DnsServer, scenario: Scenario) -> None:
    for name, addresses in scenario.names.items():
        dns.add(name, *addresses)
    for name, turns in scenario.sequences.items():
        dns.sequence(name, *(list(turn) for turn in turns))
    for name, target in scenario.aliases.items():
        dns.alias(name, target)
    for name, rcode in scenario.failures.items():
        dns.fail(name, rcode)
    for name in scenario.ignored:
        dns.ignore(name)


def _pages(host: str, site: str) -> PageServer:
    """Return the server of the standard pages, or of the site named."""
    if not site:
        return PageServer(dict(STANDARD_ROUTES), host=host, port=80, fallback=standard)
    return serve_site(importlib.import_module(f"tests.browser.cases.{site}").SITE, host, 80)


def main() -> None:
    """Run inside the namespaces: read the scenario on stdin, write the results on stdout."""
    wanted = json.loads(sys.stdin.read())
    scenario = Scenario(**wanted["scenario"])
    _add_addresses()
    pages = [_pages(host, scenario.site) for host in ("0.0.0.0", PUBLIC_V6)]
    with (
        tempfile.TemporaryDirectory() as folder,
        DnsServer(port=53) as dns,
        pages[0] as v4,
        pages[1] as v6,
    ):
        _use_own_dns(Path(folder), scenario.resolver_lines)
        _script(dns, scenario)
        done = [
            subprocess.run(COMMAND, input=line.encode(), capture_output=True, check=False)
            for line in wanted["requests"]
        ]
        requests = [*v4.requests, *v6.requests]
        subprocess.run(("/bin/umount", "/etc/resolv.conf"), check=True)
    said = {
        "runs": [(x.returncode, x.stdout.decode(), x.stderr.decode()) for x in done],
        "questions": dns.questions,
        "requests": [(request.headers.get("host", ""), request.target) for request in requests],
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
