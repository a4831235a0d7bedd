"""Network namespaces joined by a pair of virtual interfaces. Needs root and iproute2."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_COMMAND_S = 20.0
#: Says that it listens, and then takes every connection until its standard input ends.
_LISTENER = """
import socket, sys, threading
where, family = ("::", int(sys.argv[1])), socket.AF_INET6
listener = socket.create_server(where, family=family, dualstack_ipv6=True)
def take():
    while True:
        listener.accept()[0].close()
threading.Thread(target=take, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with a name."""

    name: str

    @property
    def enter(self) -> tuple[str, ...]:
        """The arguments before a command that runs in it, as the same process."""
        return ("nsenter", f"--net=/run/netns/{self.name}", "--")

    def ip(self, *commands: str) -> None:
        """Run `ip` with the arguments of each command."""
        for command in commands:
            _ip("-n", self.name, *command.split())

    @contextmanager
    def listener(self, port: int) -> Iterator[None]:
        """Accept connections to this port on all addresses."""
        command = (*self.enter, sys.executable, "-c", _LISTENER, str(port))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"ready\n"
                yield
            finally:
                process.kill()


def _ip(*words: str) -> None:
    command = (shutil.which("ip") or "ip", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMMAND_S)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr}")


@contextmanager
def _namespace() -> Iterator[Namespace]:
    # The process is in the name, so that `leftovers` can tell a run that is still at work.
    name = f"safeurl-{os.getpid()}-{secrets.token_hex(4)}"
    _ip("netns", "add", name)
    try:
        made = Namespace(name)
        made.ip("link set lo up")
        yield made
    finally:
        _ip("netns", "del", name)


@contextmanager
def joined(near: Sequence[str], far: Sequence[str]) -> Iterator[tuple[Namespace, Namespace]]:
    """Make two namespaces, each with an end of one link named `link0`, and configure both."""
    with _namespace() as first, _namespace() as second:
        first.ip(f"link add link0 type veth peer name link0 netns {second.name}")
        for namespace, commands in ((second, far), (first, near)):
            namespace.ip("link set link0 up", *commands)
        yield first, second
