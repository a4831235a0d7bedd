"""From a real sandbox: a chain over hosts with unusual labels is followed to its page."""

from html import escape
from pathlib import Path

import pytest

from safeurl.state import Outcome
from tests.support.dns import DnsServer
from tests.support.gateway_sandbox import gateway_sandbox
from tests.support.pages import PageServer, Reply, Request, html, redirect
from tests.support.vectors import ODD_CHARACTERS

_ZONE = "odd.example"
#: One after the other, with half of the characters each.
_FIRST, _SECOND = (f"a{half}b.{_ZONE}" for half in (ODD_CHARACTERS[:9], ODD_CHARACTERS[9:]))


@pytest.mark.parametrize("lead", ["redirect", "refresh"])
def test_a_chain_over_odd_hosts_is_followed(lead: str, tmp_path: Path) -> None:
    """Submitted, redirected or refreshed to: sandbox, gateway, DNS and server name one host."""

    def answer(request: Request) -> Reply:
        host, _, port = request.headers["host"].rpartition(":")
        target = f"http://{_SECOND}:{port}/"
        if host == _SECOND:
            return html("<title>Landed</title><p>here")
        if lead == "redirect":
            return redirect(target)
        return html(f'<meta http-equiv="refresh" content="0; url={escape(target)}"><p>wait')

    with DnsServer() as dns, PageServer(fallback=answer) as pages:
        dns.add(f"*.{_ZONE}", "127.0.0.1")
        settings = {"EGRESS_RESOLVER": f"127.0.0.1:{dns.port}"}
        allow = ("127.0.0.1/32",)
        with gateway_sandbox(tmp_path, f"odd-hosts-{lead}", allow, **settings) as made:
            ran = made.fetch(f"http://{_FIRST}:{pages.port}/", allow_cidrs=allow, timeout_s=8.0)
    assert ran.report is not None
    assert ran.report.outcome is Outcome.OK
    assert ran.evidence.page is not None
    assert ran.evidence.page.title == "Landed"
    assert ran.report.final_url == f"http://{_SECOND}:{pages.port}/"
    named = {each.name for each in ran.egress.decisions}
    assert named == {_FIRST, _SECOND}
    assert {request.headers["host"] for request in pages.requests} == {
        f"{host}:{pages.port}" for host in named
    }
