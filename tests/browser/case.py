"""One case: raw responses by path, and the observations that must be equal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.pages import Request

#: The bytes of a response, or a function that makes them from the request.
Response = bytes | Callable[[Request], bytes]

#: Replaces the server's `127.0.0.1:PORT` in the heads of responses and in observations.
ORIGIN: Final = "origin.test"

#: A page with a title of its own and a password field.
LOGIN: Final = (
    "<!doctype html><title>PayPal: Log in</title><h1>Hello</h1>"
    "<form action=/next method=post><input type=email name=e><input type=password name=p></form>"
)
OTHER: Final = "<!doctype html><title>other</title><p>harmless</p>"


def make_response(
    body: str | bytes = LOGIN,
    *lines: bytes,
    first: bytes = b"HTTP/1.1 200 OK",
    kind: bytes = b"text/html; charset=utf-8",
    length: bytes | None = None,
) -> bytes:
    """Return a complete response; `lines` are more header lines as raw bytes.

    `length` replaces the value of Content-Length; an empty one omits the header.
    """
    data = body.encode() if isinstance(body, str) else body
    counted = b"%d" % len(data) if length is None else length
    head = [first, *([b"Content-Type: " + kind] if kind else []), *lines]
    head += [b"Content-Length: " + counted] if counted else []
    return b"\r\n".join([*head, b"Connection: close"]) + b"\r\n\r\n" + data


def redirect(to: bytes, *lines: bytes, first: bytes = b"HTTP/1.1 302 Found") -> bytes:
    """Return a redirect whose Location is exactly `to`."""
    return make_response(b"", b"Location: " + to, *lines, first=first)


@dataclass(frozen=True, slots=True)
class Case:
    """Responses of a server, and the observations to compare."""

    name: str
    #: Responses by request target (`/path?query`); `*` matches every other target.
    responses: Mapping[str, Response]
    #: Names of the fields of `Observation` that are compared.
    compare: tuple[str, ...] = ("url", "title")
    #: The path that is opened.
    start: str = "/"
    #: Seconds without a new request or URL after which Chromium's page counts as loaded.
    quiet_s: float = 0.4
    #: The reason for an intended difference; empty if the fetcher must agree.
    explained: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of loading a case in a client; `ORIGIN` replaces `127.0.0.1:PORT`."""

    #: The final URL; empty if there was no page.
    url: str = ""
    title: str = ""
    #: The Encoding Standard's name, in lower case.
    charset: str = ""
    #: The media type as which the document was parsed.
    kind: str = ""
    #: `METHOD target` of each request, in order, without requests for an icon.
    requests: tuple[str, ...] = ()
    #: The Cookie header of each request, as Latin-1 text; empty if there is none.
    cookies: tuple[str, ...] = ()
    #: The targets of the forms, sorted.
    targets: tuple[str, ...] = ()
    #: True if there is a password field.
    password: bool = False
    #: The body's text, with white space collapsed.
    text: str = ""
    #: The path to which the page navigates by itself, without the query; empty if it does not.
    onward: str = ""
    #: True if the page navigates by itself, to whatever address.
    leads: bool = False


def leading_page(
    name: str, body: str, explained: str = "", compare: tuple[str, ...] = ("onward",)
) -> Case:
    """Return the case of a page that may navigate without input; `onward` is compared."""
    page = "<!doctype html><title>first</title><body><p>One moment</p>" + body
    responses = {"/": make_response(page), "*": make_response(OTHER)}
    return Case(name, responses, compare, explained=explained)


def leading_script(
    name: str, code: str, explained: str = "", compare: tuple[str, ...] = ("onward",)
) -> Case:
    """Return the case of a page with one script that may navigate."""
    return leading_page(name, f"<script>{code}</script>", explained, compare)
