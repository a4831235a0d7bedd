"""Servers that want no report of themselves, and a sandbox that swaps the body: real processes."""

import json
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from safeurl.model.report_reader import ReportReader
from safeurl.service import Service
from safeurl.services.submit import Submission
from safeurl.state import Outcome, State
from tests.support.certificates import make_certificate
from tests.support.fetching import COMMAND, ROOT, request_line
from tests.support.images import script_image
from tests.support.pages import PageServer, Reply, html
from tests.support.system import RunningWorker, System

_HTML = b"Content-Type: text/html"
_PAGE = b"<title>Seen</title><form method=post><input type=password name=pw></form>"


def _read(url: str) -> ReportReader:
    """Run the fetcher as a process and read its report as a worker does, fault or not."""
    done = subprocess.run(
        COMMAND,
        input=request_line(url, timeout_s=10.0),
        capture_output=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    reader = ReportReader("scan-1", 1)
    reader.feed(done.stdout)
    reader.close()
    assert (done.returncode, reader.fault, reader.fault_detail) == (0, None, ""), done.stderr
    assert reader.report is not None
    return reader


def _raw(*headers: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = _PAGE) -> Reply:
    return Reply(body=b"\r\n".join((status, *headers, b"", body)), raw=True)


def _moved(location: str | bytes) -> Reply:
    given = location if isinstance(location, bytes) else location.encode()
    return _raw(b"Location: " + given, status=b"HTTP/1.1 302 Found")


#: By the path at which they are served; whether the page is seen.
_SERVERS = {
    "header-in-c1": (_raw(_HTML, b"X: \xc2\x9b2J\x1b[2J\x7f\xe4"), True),
    "long-names": (_raw(_HTML, b"A" * 600 + b": x", b"B: " + b"\xe4" * 9000), True),
    "status-999": (_raw(_HTML, status=b"HTTP/1.1 999 \x1b[2J"), True),
    "status-099": (_raw(_HTML, status=b"HTTP/1.1 099 odd"), True),
    "types": (
        _raw(b"Content-Type: Text/HTML, \xe4; charset=\x80", b"Content-Encoding: \x80"),
        True,
    ),
    "crowd": (_raw(_HTML, *(b"H%d: \xff\xff" % each for each in range(300))), True),
    "moved-to-latin-1": (_moved(b"/\xe4\xff\x80"), False),
    "moved-to-zone": (_moved("http://[fe80::1%25eth0]:99999/"), False),
    "moved-to-marks": (_moved("http://a\u200d\u202eb.example/\u3164"), False),
    "moved-to-script": (_moved("javascript:alert('\x1b[2J')"), False),
    "moved-far": (_moved(b"/" + b"a" * 9000), False),
    "refresh": (_raw(_HTML, b"Refresh: 0;url=http://\xff[x/"), True),
    "icon": (_raw(_HTML, body=_PAGE + "<link rel=icon href='http://\u0130[/\x1b'>".encode()), True),
    "halves": (
        _raw(_HTML, body=b"\xff\xfe" + _PAGE.decode().encode("utf-16-le") + b"\x00\xd8a\x00"),
        True,
    ),
}


@pytest.mark.parametrize("server", _SERVERS)
def test_no_server_makes_its_report_malformed(server: str) -> None:
    """For all statuses, headers, locations and bytes, the report has its format."""
    reply, is_seen = _SERVERS[server]
    with PageServer({f"/{server}": lambda _: reply}) as pages:
        page = _read(pages.url(f"/{server}")).evidence().page
    assert (page is not None and any(form.has_password for form in page.forms)) == is_seen


def test_a_letter_that_grows_does_not_hide_a_login() -> None:
    """512 of U+0130 in a control's type are 1,024 characters in lower case."""
    control = f'<input type="{chr(0x130) * 512}">'
    with PageServer({"/": lambda _: html(_PAGE.decode() + control)}) as server:
        page = _read(server.url("/")).evidence().page
    assert page is not None
    assert (page.title, page.partial) == ("Seen", "")
    assert page.forms[0].has_password


@pytest.mark.parametrize("kind", [0x12, 0x14, 0x16], ids=["numeric", "teletex", "ia5"])
def test_an_odd_name_in_a_certificate_does_not_end_the_scan(kind: int, tmp_path: Path) -> None:
    """No browser minds Latin-1 in it; a fetch that crashes would be tried again and given up."""
    made = make_certificate("127.0.0.1", common_name="Brand")
    der = made.certificate.public_bytes(Encoding.DER)
    der = der.replace(b"\x0c\x05Brand", bytes([kind, 5]) + b"Br\xe4nd")
    key = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = tmp_path / "tls.pem"
    pem.write_bytes(key + ssl.DER_cert_to_PEM_cert(der).encode())
    with PageServer({"/": lambda _: html(_PAGE.decode())}, certificate=pem) as server:
        reader = _read(server.url("/"))
    assert reader.report is not None
    assert reader.report.outcome is Outcome.OK
    tls = reader.evidence().hops[0].tls
    assert tls is not None
    assert (tls.issuer, tls.verified) == (tls.subject, False)
    assert tls.sans == ("127.0.0.1",)
    assert tls.not_after


#: Speaks of one body and sends another, then ends without its report, as its URL names.
_SWAP = """
import base64, hashlib, json, sys
request = json.loads(sys.stdin.readline())
seen, other = b"<title>calm</title>", b"<title>other</title>"
def say(**line):
    print(json.dumps(line), flush=True)
sha256 = hashlib.sha256(seen).hexdigest()
body = {"wire_bytes": len(seen), "size_bytes": len(seen), "sha256": sha256}
for kind, data in (("favicon", b"icon"), ("body", other)):
    say(type="artefact", kind=kind, data=base64.b64encode(data).decode(), last=True)
say(type="evidence", body=body)
say(type="evidence", hop={"url": request["url"], "address": "93.184.216.34", "port": 80})
if request["url"].endswith("/rubbish"):
    print("{")
"""


def test_a_sandbox_that_never_reports_stores_no_other_body(tmp_path: Path) -> None:
    """A real worker, with a fetcher that swaps the body and ends without its last line."""
    ways = ("silence", "rubbish")
    with script_image(_SWAP) as image:
        system = System(tmp_path, FETCHER_IMAGE=image, MAX_RETRIES="0", CONTAINER_TIMEOUT_MS="9000")

        async def act(service: Service) -> Submission:
            return await service.submit([f"https://example.com/{way}" for way in ways], source="t")

        with RunningWorker(system):
            ids = [scan.id for scan in system.with_service(act).scans]
            ended = system.wait_final(ids, timeout_s=60)
    assert {scan.state for scan in ended} == {State.FAILED}
    for scan in ended:
        shown = json.loads(system.run("status", scan.id, "--json").stdout)
        assert shown["evidence"]["body"]["size_bytes"] == len(b"<title>calm</title>")
        assert [each["kind"] for each in shown["artefacts"]] == ["favicon"]
