"""Records which system calls the fetcher makes in a real container, for its seccomp profile.

    .venv/bin/python -m tests.support.syscall_trace none    writes docker/seccomp/http.trace
    .venv/bin/python -m tests.support.syscall_trace bridge  writes docker/seccomp/http_bridge.trace

Needs root, runc, strace and the fetcher image. Each scenario runs the image's own file tree under
`strace runc run`. The trace starts after runc has loaded its filter: it holds the last calls of
runc itself, the watchdog, the fetcher and its children. New calls are added to the file, so that
traces of several machines can be merged; delete the file to start again.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safeurl.settings import Settings
from tests.support.certificates import make_certificate
from tests.support.egress import GatewayProcess
from tests.support.fetching import request_line
from tests.support.images import docker_client
from tests.support.pages import Handler, PageServer, Reply, html, redirect
from tests.support.routes import STANDARD_ROUTES, encoded
from worker.sandbox.options import EGRESS_MOUNT, ENVIRONMENT

FOLDER = Path(__file__).parents[2] / "docker/seccomp"
#: As in docker/fetcher.Dockerfile.
ENTRYPOINT = ("python3", "-I", "-S", "-B", "/opt/safeurl/start.pyc")
_NOBODY = 65534
_MIB = 1024 * 1024
_TIMEOUT_S = 120
#: Calls whose arguments the profile checks, by the position of that argument.
FILTERED = {"socket": 0, "socketpair": 0, "prctl": 0, "ioctl": 1, "arch_prctl": 0}
#: Names of the processes before the filter is loaded.
_BEFORE = ("strace", "runc", "runc:[0:PARENT]", "runc:[1:CHILD]")
_LINE = re.compile(r"\d+<(?P<comm>.+?)> (?P<name>\w+)\((?P<arguments>[^)<]*)")
#: Either of two calls, depending on the flags.
_FILTER_LOADED = re.compile(r"\d+<runc:\[2:INIT\]> (seccomp\(0x1,|prctl\(0x16, 0x2,)")
#: An attribute tag so long that the parser's child is killed; the rest is parsed by rules.
_WIDE = '<div x=">" ' + " ".join(f"a{n}=1" for n in range(150_000)) + ">"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run of the container: its standard input and its options."""

    stdin: bytes = b""
    options: Sequence[str] = ()
    memory_mb: int = 512
    #: Keep stdin open, so that the fetcher waits for a request.
    keeps_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle folder for runc, used for one scenario after the other."""

    folder: Path
    network: str
    egress_dir: Path | None
    resolv_conf: Path = Path("/etc/resolv.conf")
    lines: list[str] = field(default_factory=list)

    def run(self, scenario: Scenario) -> None:
        """Run the scenario, and store the lines of its trace."""
        (self.folder / "config.json").write_text(json.dumps(self._config(scenario)))
        trace = self.folder / "trace"
        command = [
            *("strace", "-f", "-qq", "-Y", "-e", "raw=all", "-e", "signal=none"),
            *("-o", str(trace), "runc", "--root", str(self.folder / "state")),
            *("run", "--bundle", str(self.folder), "safeurl-trace"),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as running:
            if scenario.keeps_waiting:
                running.wait(_TIMEOUT_S)
            printed = running.communicate(scenario.stdin, timeout=_TIMEOUT_S)[0]
        ending = printed.splitlines()[-1:] or [b"nothing"]
        print(scenario.stdin[:160], "->", running.returncode, ending[0][-200:])  # noqa: T201 - progress
        self.lines.extend(after_filter(trace.read_text(errors="replace").splitlines()))

    def _config(self, scenario: Scenario) -> dict[str, object]:
        namespaces = ["pid", "ipc", "uts", "mount"] + ["network"] * (self.network == "none")
        binds = {"/etc/resolv.conf": str(self.resolv_conf)}
        if self.egress_dir is not None:
            binds[EGRESS_MOUNT] = str(self.egress_dir)
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": _NOBODY, "gid": _NOBODY},
                "args": [*ENTRYPOINT, *scenario.options],
                "env": [
                    *ENVIRONMENT,
                    "PATH=/usr/local/bin:/usr/bin:/bin",
                ],
                "cwd": "/",
                "capabilities": {},
                "noNewPrivileges": True,
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
            },
            "root": {"path": "rootfs", "readonly": True},
            "hostname": "sandbox",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                *(
                    {"destination": inside, "type": "bind", "source": path, "options": ["rbind"]}
                    for inside, path in binds.items()
                ),
            ],
            "linux": {
                "cgroupsPath": "/safeurl-trace",
                "namespaces": [{"type": name} for name in namespaces],
                "resources": {"memory": {"limit": scenario.memory_mb * _MIB}},
                # A filter that allows every used call: the trace shows when it is loaded.
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}],
                },
            },
        }


def after_filter(lines: Sequence[str]) -> list[str]:
    """Return the part of a trace after the container's filter was loaded."""
    # The library first queries the kernel's features, with calls that load no filter.
    start = max(number for number, line in enumerate(lines) if _FILTER_LOADED.match(line))
    found = (_LINE.match(line) for line in lines[start + 1 :])
    return [match[0] for match in found if match and match["comm"] not in _BEFORE]


def calls(lines: Iterable[str]) -> set[str]:
    """Return the calls of a trace, each as one line of the `.trace` file."""
    return {_call(match["name"], match["arguments"]) for match in map(_LINE.match, lines) if match}


def _call(name: str, arguments: str) -> str:
    words = arguments.split(", ")
    if name in FILTERED:
        position = FILTERED[name]
        return f"{name} {position}={int(words[position], 0):#x}"
    if name in {"mmap", "mprotect", "clone"}:
        return f"{name} " + " ".join(
            f"{number}={int(words[number], 0):#x}" for number in _BITS[name]
        )
    return name


#: Calls whose flag bits are checked: protection and flags.
_BITS = {"mmap": (2, 3), "mprotect": (2,), "clone": (0,)}


def scenarios(plain: PageServer, tls: PageServer, *, gateway: bool) -> Iterator[Scenario]:
    """Yield the fetcher's scenarios: pages of all kinds, watchdog, deadlines and crashes."""
    paths = (
        *("/", "/login", "/redirect?n=3", "/gzip", "/br", "/zstd", "/deflate", "/icon", "/meta"),
        *("/endless", "/gzip-bomb", "/garbage", "/headers?n=10000", "/wide", "/deep", "/inside"),
    )
    for path in paths:
        yield Scenario(request_line(plain.url(path), gateway=gateway))
    yield Scenario(request_line(plain.url("/slow?s=30"), gateway=gateway, timeout_s=1.0))
    yield Scenario(request_line(plain.url("/"), gateway=gateway), options=["--preload"])
    yield Scenario(request_line(tls.url("/"), gateway=gateway))
    yield Scenario(request_line(tls.url("/"), gateway=gateway), options=["--preload"])
    yield Scenario(request_line("http://no-such-host.invalid/", gateway=gateway))
    yield Scenario(request_line("http://127.0.0.1:1/", gateway=gateway))
    yield Scenario(request_line("http://localhost:1/", gateway=gateway))
    yield Scenario(b"no request\n")
    yield Scenario(options=["--idle-timeout", "1"], keeps_waiting=True)
    yield Scenario(options=["--no-such-option"])
    # Too little memory for the body: one process is killed, and the other reports it.
    yield Scenario(
        request_line(plain.url("/big?mib=21"), gateway=gateway, max_body_bytes=64 * _MIB),
        memory_mb=24,
    )


def pages() -> PageServer:
    """Return a server of pages of all kinds."""
    icon = '<link rel="icon" href="/favicon.png"><title>Icon</title>'
    meta = '<meta http-equiv="refresh" content="0; url=/login">'
    text = b"<title>Packed</title>" + b"0123456789" * 5000
    routes: dict[str, Handler] = {
        **STANDARD_ROUTES,
        **{f"/{name}": _packed(text, name) for name in ("gzip", "br", "zstd", "deflate")},
        "/icon": lambda _: html(icon),
        "/favicon.png": lambda _: Reply(b"\x89PNG\r\n\x1a\n" * 16, content_type="image/png"),
        "/meta": lambda _: html(meta),
        "/wide": lambda _: html(_WIDE),
        "/deep": lambda _: html("<b><i>" * 100_000),
        "/inside": lambda _: redirect("http://10.0.0.1/"),
    }
    return PageServer(routes)


def _packed(text: bytes, encoding: str) -> Handler:
    return lambda _: encoded(text, encoding)


@contextmanager
def file_tree(folder: Path) -> Iterator[Path]:
    """Unpack the fetcher image's files into a folder."""
    root = folder / "rootfs"
    root.mkdir()
    with docker_client() as client:
        container = client.containers.create(Settings.read({}).fetcher_image)
        try:
            with subprocess.Popen(["/bin/tar", "-x", "-C", root], stdin=subprocess.PIPE) as tar:
                assert tar.stdin is not None
                for piece in container.export():
                    tar.stdin.write(piece)
        finally:
            container.remove(force=True)
    yield root


def main() -> None:
    """Record the calls of all scenarios, and add them to the file."""
    network = sys.argv[1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd() / ".cache")))
        stack.enter_context(file_tree(folder))
        stack.callback(shutil.rmtree, folder / "state", ignore_errors=True)
        plain = stack.enter_context(pages())
        pem = make_certificate("127.0.0.1").write(folder / "tls.pem")
        tls = stack.enter_context(PageServer(dict(STANDARD_ROUTES), certificate=pem))
        bundle = Bundle(folder, network, None)
        gateway = None
        if network == "none":
            gateway = stack.enter_context(GatewayProcess(folder / "gateway"))
        for scenario in scenarios(plain, tls, gateway=gateway is not None):
            egress_dir = gateway.open()[1] if gateway else None
            Bundle(folder, network, egress_dir, lines=bundle.lines).run(scenario)
    path = FOLDER / ("http.trace" if network == "none" else "http_bridge.trace")
    before = set(path.read_text().splitlines()) if path.exists() else set()
    path.write_text("".join(f"{line}\n" for line in sorted(before | calls(bundle.lines))))


if __name__ == "__main__":
    main()
