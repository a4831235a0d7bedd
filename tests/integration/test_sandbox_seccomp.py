"""The seccomp profile inside real containers: attacks are refused, and fetches work."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fetcher.content.charset import decode_text
from safeurl.model.sandbox import SandboxOrder
from safeurl.settings import Settings
from safeurl.state import Outcome
from tests.support.certificates import make_certificate
from tests.support.gateway_sandbox import GatewaySandbox, gateway_sandbox
from tests.support.images import SOCKET_PATH
from tests.support.pages import PageServer, Reply
from tests.support.runtimes import need
from tests.support.sandbox_lab import TIMEOUT_S, collector, instance_name, lab_request, leftovers
from tests.support.syscall_trace import pages
from worker.doctor.checks.isolation_checks import SECCOMP_CHECK, ExpectedSandbox, families, syscalls
from worker.doctor.probe_runner import probe_command
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings, container_options
from worker.sandbox.runtime import RUNC, RUNSC

Body = dict[str, Any]

_VECTORS = ("system_calls", "socket_families")
#: Calls that only a filter denies to an unprivileged process, on every kernel that has them.
_UNFILTERED = {"memfd", "execveat", "mmap_wx", "mmap_wx_file", "mprotect_wx", "mprotect_w_to_x"}
_UNIX, _INET, _INET6 = 1, 2, 10
_DEAD_BY_SIGNAL = 128


def probe(runtime: str, change: Callable[[Body], None] = lambda _: None, **caps: Any) -> Body:
    """Return the results of the attacks in a sandbox of the real image; `change` weakens it."""
    command = probe_command({"vectors": list(_VECTORS)})

    def options(settings: SandboxSettings, wanted: SandboxOrder, deadline_at: datetime) -> Body:
        body = container_options(settings, wanted, deadline_at) | {"Entrypoint": command}
        change(body["HostConfig"])
        return body

    settings = SandboxSettings(
        image=Settings.read({}).fetcher_image,
        instance=instance_name(),
        runtime=runtime,
        cpus=1.0,
        **{"network": "none", **caps},
    )
    got: list[bytes] = []
    sandbox = DockerSandbox(settings, SOCKET_PATH, options=options)
    ended = asyncio.run(sandbox.run(lab_request(), collector(got), deadline_s=TIMEOUT_S))
    assert (ended.error, ended.exit_code) == (None, 0), ended.stderr_tail
    assert leftovers(settings.instance) == []
    answers = [json.loads(line) for line in b"".join(got).splitlines()]
    return {each["vector"]: each["facts"] for each in answers}


def done(seen: Body) -> set[str]:
    """Return the attempts that succeeded."""
    return {name for name, how in seen["system_calls"].items() if how == "done"}


def test_under_runc_the_filter_answers_every_attack() -> None:
    """The filter refuses each call before the kernel reads it; only UNIX sockets are allowed."""
    seen = probe(RUNC)
    assert len(seen["system_calls"]) > 50
    assert SECCOMP_CHECK.evaluate(seen["system_calls"], ExpectedSandbox())[0] == []
    assert seen["socket_families"] == {"plain": [_UNIX], "high_bit": []}


def test_the_attacks_are_real() -> None:
    """Under the engine's default profile many of them succeed: the probe can detect success."""

    def drop_profile(host: Body) -> None:
        host["SecurityOpt"] = [each for each in host["SecurityOpt"] if "seccomp" not in each]

    seen = probe(RUNC, drop_profile)
    assert done(seen) >= _UNFILTERED
    assert SECCOMP_CHECK.evaluate(seen["system_calls"], ExpectedSandbox())[0]
    assert {_UNIX, _INET, _INET6} < set(seen["socket_families"]["plain"])


def test_under_gvisor_what_succeeds_is_gvisors_own() -> None:
    """Our filter does not apply to its kernel; memory and programs are gVisor's own."""
    seen = probe(need(RUNSC))
    expected = ExpectedSandbox(gvisor=True)
    assert syscalls(seen["system_calls"], expected)[0] == []
    assert families(seen["socket_families"], expected)[0] == []
    # Documented: neither of these is refused there.
    assert {"mmap_wx", "memfd", "clone_newuser"} <= done(seen)


def test_a_bridge_adds_internet_sockets_and_nothing_else() -> None:
    """CONTAINER_NETWORK=bridge needs IPv4 and IPv6; all other calls are refused as without."""
    seen = probe(RUNC, network="bridge")
    assert SECCOMP_CHECK.evaluate(seen["system_calls"], ExpectedSandbox())[0] == []
    assert seen["socket_families"] == {"plain": [_UNIX, _INET, _INET6], "high_bit": []}


def deadly(settings: SandboxSettings, wanted: SandboxOrder, deadline_at: datetime) -> Body:
    """Return options whose filter kills the process at the first call without a rule."""
    body = container_options(settings, wanted, deadline_at)
    *others, seccomp = body["HostConfig"]["SecurityOpt"]
    profile = json.loads(seccomp.removeprefix("seccomp="))
    profile["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
    del profile["defaultErrnoRet"]
    body["HostConfig"]["SecurityOpt"] = [*others, f"seccomp={json.dumps(profile)}"]
    return body


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewaySandbox]:
    """Return a sandbox that is killed by a system call that the profile does not allow."""
    allow = ("127.0.0.0/8",)
    with gateway_sandbox(tmp_path_factory.mktemp("deadly"), "seccomp-deadly", allow) as made:
        yield replace(made.under(RUNC), options=deadly)


_PATHS = [
    *("/", "/login", "/redirect?n=3", "/gzip", "/br", "/zstd", "/deflate", "/icon", "/meta"),
    *("/headers?n=10000", "/deep"),
]


@pytest.mark.parametrize("path", _PATHS)
def test_every_call_of_a_fetch_is_named(strict: GatewaySandbox, path: str) -> None:
    """Pages of all kinds are read under a filter that kills, including runc's last calls."""
    with pages() as server:
        seen = strict.fetch(server.url(path), allow_cidrs=("127.0.0.0/8",))
    assert seen.exit.exit_code == 0, seen.exit.stderr_tail
    assert seen.report is not None
    assert seen.report.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("path", "fields", "outcome"),
    [
        ("/endless", {}, Outcome.BODY_TOO_LARGE),
        ("/slow?s=30", {"timeout_s": 1.0}, Outcome.FETCH_TIMEOUT),
        ("/garbage", {}, Outcome.HTTP_ERROR),
        ("/inside", {}, Outcome.ADDRESS_REFUSED),
    ],
)
def test_every_call_of_a_failing_fetch_is_named(
    strict: GatewaySandbox, path: str, fields: Body, outcome: Outcome
) -> None:
    """Deadlines, caps and refusals use other paths through the fetcher."""
    with pages() as server:
        seen = strict.fetch(server.url(path), allow_cidrs=("127.0.0.0/8",), **fields)
    assert seen.exit.exit_code == 0, seen.exit.stderr_tail
    assert seen.report is not None
    assert seen.report.outcome is outcome


def test_every_call_of_a_fetch_over_tls_is_named(strict: GatewaySandbox, tmp_path: Path) -> None:
    """OpenSSL and the parsing of certificates make additional calls."""
    pem = make_certificate("127.0.0.1").write(tmp_path / "tls.pem")
    with PageServer(dict(pages().routes), certificate=pem) as server:
        seen = strict.fetch(server.url("/"), allow_cidrs=("127.0.0.0/8",))
    assert seen.exit.exit_code == 0, seen.exit.stderr_tail
    assert seen.report is not None
    assert seen.report.outcome is Outcome.OK


@pytest.mark.parametrize("runtime", [RUNC, RUNSC])
def test_an_xml_document_is_read_in_a_container(strict: GatewaySandbox, runtime: str) -> None:
    """The image has the XML parser, which works under runc with a filter that kills."""
    xml = b"<svg xmlns='http://www.w3.org/2000/svg'><title>Drawn</title></svg>"
    drawing = Reply(xml, content_type="image/svg+xml")
    with PageServer({"/": lambda _: drawing}) as server:
        seen = strict.under(need(runtime)).fetch(server.url("/"), allow_cidrs=("127.0.0.0/8",))
    assert seen.exit.exit_code == 0, seen.exit.stderr_tail
    assert seen.evidence.page is not None
    assert (seen.evidence.page.title, seen.evidence.page.partial) == ("Drawn", "")


@pytest.mark.parametrize("charset", ["euc-jp", "gbk", "koi8-r", "x-mac-cyrillic"])
def test_a_character_set_is_read_in_a_container(strict: GatewaySandbox, charset: str) -> None:
    """The image has its table, which is opened when the first page needs it."""
    page = Reply(b"<title>\xa4\xa2</title>", content_type=f"text/html; charset={charset}")
    with PageServer({"/": lambda _: page}) as server:
        seen = strict.fetch(server.url("/"), allow_cidrs=("127.0.0.0/8",))
    assert seen.exit.exit_code == 0, seen.exit.stderr_tail
    assert seen.evidence.page is not None
    expected = decode_text(b"\xa4\xa2", charset)
    assert (seen.evidence.page.title, seen.evidence.page.partial) == (expected, "")


def test_a_call_that_is_not_named_is_noticed(strict: GatewaySandbox) -> None:
    """The filter of these tests does kill a process: the probe's first attack is its last."""

    def options(settings: SandboxSettings, wanted: SandboxOrder, deadline_at: datetime) -> Body:
        command = probe_command({"vectors": list(_VECTORS)})
        return deadly(settings, wanted, deadline_at) | {"Entrypoint": command}

    got: list[bytes] = []
    sandbox = DockerSandbox(strict.settings, SOCKET_PATH, options=options)
    ended = asyncio.run(sandbox.run(lab_request(), collector(got), deadline_s=TIMEOUT_S))
    assert ended.exit_code is not None
    assert ended.exit_code > _DEAD_BY_SIGNAL
    assert got == []
