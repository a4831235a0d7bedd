"""No redirect leads to an address that the policy refuses."""

import pytest

from safeurl.state import Outcome
from tests.support.fetching import fetch
from tests.support.pages import PageServer, redirect

_LITERALS = (
    *("0", "0.0.0.0", "127.1", "2130706433", "3232235521", "2852039166", "0177.0.0.1", "0x7f.1"),
    *("[::]", "[::1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("[fd00:ec2::254]", "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("127.0.0.1.", "localhost", "x.localhost", "\uff11\uff12\uff17.0.0.1", "a@127.0.0.1"),
)
_SCHEMES = (
    *("file:///etc/passwd", "dict://h.test/", "sftp://h.test/", "tftp://h.test/", "ldap://h.test/"),
    *("gopher://h.test/", "jar:http://h.test/!/", "data:text/html,x", "blob:http://h.test/1"),
    *("view-source:http://h.test/", "javascript:alert(1)", "ftp://h.test/"),
)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_private_address_is_refused(status: int) -> None:
    """The hop that redirected is recorded with its target, and so is the refusal."""
    with PageServer({"/": lambda _: redirect("http://10.9.8.7:8080/x", status)}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.ADDRESS_REFUSED
    assert [(hop.status, hop.location) for hop in run.hops] == [(status, "http://10.9.8.7:8080/x")]
    (refusal,) = run.refusals
    assert (refusal.host, refusal.port, refusal.rule) == ("10.9.8.7", 8080, "private")
    assert refusal.url == "http://10.9.8.7:8080/x"


def test_no_spelling_of_an_inner_address_is_followed() -> None:
    """Each spelling of an internal address is tried as the target of a redirect."""
    targets = {f"/{n}": f"http://{literal}/" for n, literal in enumerate(_LITERALS)}
    routes = {path: (lambda r: redirect(targets[r.path])) for path in targets}
    with PageServer(dict(routes), host="127.0.0.77") as server:
        for path, target in targets.items():
            run = fetch(server.url(path), allow_cidrs=("127.0.0.77/32",))
            assert run.report.outcome is Outcome.ADDRESS_REFUSED, target
            assert len(run.refusals) == 1, target
        assert len(server.requests) == len(targets)


def test_no_other_scheme_is_followed() -> None:
    """Each scheme is tried as the target of a redirect."""
    targets = {f"/{n}": scheme for n, scheme in enumerate(_SCHEMES)}
    routes = {path: (lambda r: redirect(targets[r.path])) for path in targets}
    with PageServer(dict(routes)) as server:
        for path, target in targets.items():
            run = fetch(server.url(path))
            assert run.report.outcome is Outcome.ADDRESS_REFUSED, target
            assert run.refusals[0].rule == "scheme", target
            assert run.refusals[0].url == target


def test_the_submitted_url_is_checked_too() -> None:
    """The fetcher checks the URL of the request line itself."""
    run = fetch("http://169.254.169.254/latest/meta-data/")
    assert run.report.outcome is Outcome.ADDRESS_REFUSED
    assert run.refusals[0].rule == "metadata"
    assert run.hops == ()


def test_a_refused_port_is_refused() -> None:
    """Services on non-web ports are not requested."""
    run = fetch("http://127.0.0.1:6379/")
    assert run.report.outcome is Outcome.ADDRESS_REFUSED
    assert run.refusals[0].rule == "port_service"


def test_deny_takes_precedence_over_allow() -> None:
    """A denied range is refused even inside an allowed one."""
    with PageServer() as server:
        run = fetch(server.url("/"), deny_cidrs=("127.0.0.1/32",))
    assert run.report.outcome is Outcome.ADDRESS_REFUSED
    assert run.refusals[0].rule == "denied_by_setting"
