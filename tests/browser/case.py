"""One case: raw responses by path, and which observations must be equal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.pages import Request

#: What a response is: bytes, or a function from the request to them.
Response = bytes | Callable[[Request], bytes]

#: Stands for the server's own `127.0.0.1:PORT` in the heads of responses and in observations.
ORIGIN: Final = "origin.test"

#: A page with a title of its own and a password field.
LOGIN: Final = (
    "<!doctype html><title>PayPal: Log in</title><h1>Hello</h1>"
    "<form action=/next method=post><input type=email name=e><input type=password name=p></form>"
)
OTHER: Final = "<!doctype html><title>other</title><p>harmless</p>"


def answer(
    body: str | bytes = LOGIN,
    *lines: bytes,
    first: bytes = b"HTTP/1.1 200 OK",
    kind: bytes = b"text/html; charset=utf-8",
    length: bytes | None = None,
) -> bytes:
    """Return a whole response; `lines` are further header lines, byte for byte.

    `length` replaces the value of Content-Length; an empty one leaves the header out.
    """
    data = body.encode() if isinstance(body, str) else body
    counted = b"%d" % len(data) if length is None else length
    head = [first, *([b"Content-Type: " + kind] if kind else []), *lines]
    head += [b"Content-Length: " + counted] if counted else []
    return b"\r\n".join([*head, b"Connection: close"]) + b"\r\n\r\n" + data


def redirect(to: bytes, *lines: bytes, first: bytes = b"HTTP/1.1 302 Found") -> bytes:
    """Return a redirect whose Location is `to`, byte for byte."""
    return answer(b"", b"Location: " + to, *lines, first=first)


@dataclass(frozen=True, slots=True)
class Case:
    """What is served, and what is compared."""

    name: str
    #: Responses by request target (`/path?query`); `*` answers every other target.
    responses: Mapping[str, Response]
    #: Names of the fields of `Seen` that are compared.
    compare: tuple[str, ...] = ("url", "title")
    #: The path that is opened.
    start: str = "/"
    #: Seconds without a new request or URL after which Chromium's page counts as settled.
    quiet_s: float = 0.4
    #: Why the fetcher differs on purpose; empty where it must agree.
    explained: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client made of a case; `127.0.0.1:PORT` is written as `ORIGIN`."""

    #: The last URL; empty where there was no page.
    url: str = ""
    title: str = ""
    #: The Encoding Standard's name, in lower case.
    charset: str = ""
    #: The media type by which the document was read.
    kind: str = ""
    #: `METHOD target` of each request, in order, without those for an icon.
    requests: tuple[str, ...] = ()
    #: The Cookie header of each request, as Latin-1 text; empty where there is none.
    cookies: tuple[str, ...] = ()
    #: Where forms send what is typed, sorted.
    targets: tuple[str, ...] = ()
    #: Whether a password field is there.
    password: bool = False
    #: The body's text as it was read, white space folded.
    text: str = ""
    #: Where the page leads by itself, without the query: the path; empty where it stays.
    onward: str = ""
