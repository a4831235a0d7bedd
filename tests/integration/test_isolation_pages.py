"""Hostile pages, opened by the real fetcher in a real sandbox with the real gateway.

All cases run under runc; under gVisor one of each kind, because each takes several times as long.
"""

from collections.abc import Iterator

import pytest

from safeurl.state import Outcome
from tests.support.gateway_sandbox import Fetched, GatewaySandbox, gateway_sandbox
from tests.support.pages import Handler, PageServer, html, redirect
from tests.support.routes import STANDARD_ROUTES
from tests.support.runtimes import under

_ALLOW = ("127.0.0.1/32",)
_METADATA = "http://169.254.169.254/latest/"
_STATUSES = (301, 302, 303, 307, 308)
_SCHEMES = (
    *("file", "dict", "sftp", "tftp", "ldap", "gopher", "jar", "data", "blob", "view-source"),
    "javascript",
)

#: What each page leads to; the fetcher has six seconds.
_PAGES = {
    "/endless": Outcome.BODY_TOO_LARGE,
    "/trickle": Outcome.FETCH_TIMEOUT,
    "/slow?s=60": Outcome.FETCH_TIMEOUT,
    "/gzip-bomb": Outcome.BODY_TOO_LARGE,
    "/br-bomb": Outcome.BODY_TOO_LARGE,
    "/zstd-bomb": Outcome.BODY_TOO_LARGE,
    "/headers?n=10000": Outcome.OK,
    "/redirect?n=100": Outcome.TOO_MANY_REDIRECTS,
    "/garbage": Outcome.HTTP_ERROR,
    "/deep": Outcome.OK,
    "/attributes": Outcome.OK,
}


def _routes() -> dict[str, Handler]:
    led = {
        f"/to-metadata/{status}": lambda _, status=status: redirect(_METADATA, status)
        for status in _STATUSES
    }
    schemes = {
        f"/scheme/{name}": lambda _, name=name: redirect(f"{name}://127.0.0.1/x")
        for name in _SCHEMES
    }
    refresh = f'<meta http-equiv="refresh" content="0; url={_METADATA}"><p>moving</p>'
    attributes = " ".join(f"a{n}=1" for n in range(300_000))
    return {
        **STANDARD_ROUTES,
        **led,
        **schemes,
        "/refresh": lambda _: html(refresh),
        "/deep": lambda _: html("<div>" * 280_000 + "x"),
        "/attributes": lambda _: html(f"<p {attributes}>x</p>"),
    }


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    """Serve the hostile pages on loopback."""
    with PageServer(_routes()) as server:
        yield server


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewaySandbox]:
    """Return a sandbox whose gateway allows 127.0.0.1 alone."""
    with gateway_sandbox(tmp_path_factory.mktemp("pages"), "isolation-pages", _ALLOW) as made:
        yield made


def _fetch(runner: GatewaySandbox, url: str) -> Fetched:
    ran = runner.fetch(url, allow_cidrs=_ALLOW, timeout_s=6.0, max_body_bytes=4 * 1024 * 1024)
    reached = {asked.address for asked in ran.egress.decisions if asked.connect_ms is not None}
    assert reached == {"127.0.0.1"}
    assert ran.exit.error is None
    return ran


@pytest.mark.parametrize(
    ("path", "runtime"),
    under(_PAGES, ["/endless", "/zstd-bomb", "/headers?n=10000", "/redirect?n=100", "/deep"]),
    indirect=["runtime"],
)
def test_a_greedy_page_has_its_outcome(
    runner: GatewaySandbox, pages: PageServer, path: str, runtime: str
) -> None:
    """Every page that wants too much ends as it should, within the caps and the time."""
    ran = _fetch(runner.under(runtime), pages.url(path))
    assert ran.report is not None
    assert ran.report.outcome is _PAGES[path]
    assert ran.exit.stopped is None


@pytest.mark.parametrize("status", _STATUSES)
def test_each_kind_of_redirect_is_judged(
    runner: GatewaySandbox, pages: PageServer, status: int
) -> None:
    """Whatever its status, a redirect to cloud metadata is refused and recorded."""
    ran = _fetch(runner, pages.url(f"/to-metadata/{status}"))
    assert ran.report is not None
    assert ran.report.outcome is Outcome.ADDRESS_REFUSED
    assert [refusal.host for refusal in ran.evidence.refusals] == ["169.254.169.254"]


@pytest.mark.parametrize(("scheme", "runtime"), under(_SCHEMES, ["file"]), indirect=["runtime"])
def test_other_schemes_lead_nowhere(
    runner: GatewaySandbox, pages: PageServer, scheme: str, runtime: str
) -> None:
    """A redirect to any scheme but http and https is refused."""
    ran = _fetch(runner.under(runtime), pages.url(f"/scheme/{scheme}"))
    assert ran.report is not None
    assert ran.report.outcome is Outcome.ADDRESS_REFUSED


def test_a_refresh_to_metadata_is_refused(
    runner: GatewaySandbox, pages: PageServer, runtime: str
) -> None:
    """The page before it was seen; the target of its refresh is evidence."""
    ran = _fetch(runner.under(runtime), pages.url("/refresh"))
    assert ran.report is not None
    assert ran.report.outcome is Outcome.OK
    assert [refusal.host for refusal in ran.evidence.refusals] == ["169.254.169.254"]
