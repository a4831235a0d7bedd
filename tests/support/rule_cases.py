"""Builders of evidence for tests of rules, and the type of a case."""

from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from safeurl.model.report import Body, Evidence, Form, FormField, Hop, Page, Refusal

SEEN_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHA256 = "0" * 64
NOTHING = Evidence()


@dataclass(frozen=True, slots=True)
class Case:
    """Evidence on which a rule must match, or must not match although it is similar."""

    rule: str
    what: str
    url: str
    evidence: Evidence = NOTHING


def seen(
    url: str,
    page: Page | None = None,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Evidence:
    """Return the evidence of a page without redirects."""
    body = Body(wire_bytes=900, size_bytes=900, sha256=SHA256, declared_type="text/html")
    return Evidence(hops=(Hop(url=url, status=status, headers=headers),), body=body, page=page)


def way(*urls: str, via: str = "redirect", refusals: tuple[Refusal, ...] = ()) -> Evidence:
    """Return the evidence of several URLs that end without a page."""
    first, *rest = urls
    hops = (Hop(url=first, status=302), *(Hop(url=u, via=via, status=200) for u in rest))
    return Evidence(hops=hops, refusals=refusals)


def download(
    url: str, *, declared: str, sniffed: str, headers: tuple[tuple[str, str], ...] = ()
) -> Evidence:
    """Return the evidence of a file instead of a page."""
    body = Body(
        wire_bytes=9,
        size_bytes=9,
        sha256=SHA256,
        declared_type=declared,
        sniffed_type=sniffed,
    )
    return Evidence(hops=(Hop(url=url, status=200, headers=headers),), body=body)


def form(*fields: str, action: str = "", password: bool = False) -> Form:
    """Return a form with text fields of these names; a password field is added on demand."""
    listed = tuple(FormField(name=name, type="text") for name in fields)
    secret = (FormField(name="pw", type="password"),) if password else ()
    return Form(action=action, method="post", fields=listed + secret, has_password=password)


def login(title: str = "", *, text: str = "Sign in", action: str = "", **page: object) -> Page:
    """Return a page with a password form."""
    asked = form("user", action=action, password=True)
    return replace(Page(title=title, text=text, forms=(asked,)), **page)
