"""The checks of every request before its route; the API has no keys, so these protect it.

A page in the user's browser can send requests to a loopback port. Three checks stop it: the
`Host` allow-list (DNS rebinding), the `Origin` and `Sec-Fetch-Site` headers (cross-site
requests) and the JSON content type (a form may send other types without permission). DELETE needs
no content type: a form cannot send it, and a script needs a permission that is never given.
"""

import re
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import SECURITY_HEADERS, error_response

#: The names of a server on a loopback address.
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

#: The longest head of a request. The server's own limit counts only an incomplete head.
MAX_HEAD_BYTES: Final = 16 * 1024
#: The longest body of a request.
MAX_BODY_BYTES: Final = 64 * 1024
#: A longer body is read and dropped up to this size, so that its sender can read the response.
_DRAIN_BYTES: Final = 1024 * 1024

#: h11 accepts any two digits as a version, and reads all versions as 1.1.
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_BARE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
#: Headers that decide about a request, in addition to all that begin with `sec-fetch-`. If such a
#: header is there twice, we and a proxy in front of us might use different ones.
_ONCE: Final = frozenset({"host", "origin", "content-type", "content-length", "transfer-encoding"})
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


class Guard:
    """ASGI middleware: refuses foreign requests, limits bodies, sets the security headers."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        """Wrap `app`; `hosts` are the accepted names of this server, None for any."""
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = refuse_form(scope) or refuse(scope["method"], Headers(scope=scope), self._hosts)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            body = await _read(receive)
        except ClientDisconnect:
            return  # the part may be a valid document, but it is not the complete request
        if body is None:
            await _too_large()(scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive), _secured(send))


def refuse_form(scope: Scope) -> JSONResponse | None:
    """Return the refusal of a request whose head is too long or can be read in two ways, or None.

    A target with its own host (`GET http://other/ HTTP/1.1`) would override `Host` (RFC 9112,
    3.2.2), so such a target is refused.
    """
    target: bytes = scope["raw_path"]
    names = [name.decode("latin-1") for name, _ in scope["headers"]]
    # The size as sent: each header has a colon, a space and a line end.
    size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if size + len(target) + len(scope["query_string"]) > MAX_HEAD_BYTES:
        return error_response(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            f"A request's head may have {MAX_HEAD_BYTES // 1024} KiB.",
            headers={"connection": "close"},
        )
    if scope["http_version"] not in _VERSIONS:
        return error_response(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
            "version_refused",
            "This server supports HTTP/1.1.",
            headers={"connection": "close"},
        )
    if not target.startswith(b"/"):
        return error_response(
            HTTPStatus.BAD_REQUEST, "target_refused", "The request's target must begin with `/`."
        )
    deciding = [name for name in names if name in _ONCE or name.startswith("sec-fetch-")]
    if len(deciding) > len(set(deciding)) or {"content-length", "transfer-encoding"} <= set(names):
        return error_response(
            HTTPStatus.BAD_REQUEST,
            "header_repeated",
            "A header that decides about the request is repeated or contradicts another header.",
            headers={"connection": "close"},
        )
    return None


def refuse(method: str, headers: Headers, hosts: frozenset[str] | None) -> JSONResponse | None:
    """Return the refusal because of these headers, or None."""
    if hosts is not None and host_name(headers.get("host", "")) not in hosts:
        return error_response(
            HTTPStatus.MISDIRECTED_REQUEST,
            "host_refused",
            "This server does not answer to that Host header.",
        )
    if is_cross_site(method, headers):
        return error_response(
            HTTPStatus.FORBIDDEN, "cross_site", "Requests from other sites' pages are refused."
        )
    if method not in _BARE_METHODS and media_type(headers) != "application/json":
        return error_response(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "json_required",
            "Send JSON, with `Content-Type: application/json`.",
        )
    return None


def host_name(host: str) -> str:
    """Return the name in a Host header in lower case, without port; empty if it is not one."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""


def is_cross_site(method: str, headers: Headers) -> bool:
    """Return whether a browser sent this request for a page of another site.

    A link to us may be followed, because the page with the link cannot read the response.
    """
    origin = headers.get("origin")
    if origin is not None:
        scheme, _, host = origin.lower().partition("://")
        # Apps load their pages from `capacitor://localhost`, which is not a web server.
        if scheme not in {"http", "https"} or host != headers.get("host", "").lower():
            return True
    is_link = (
        method == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not is_link


def media_type(headers: Headers) -> str:
    """Return the content type without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(receive: Receive) -> bytes | None:
    """Return the complete body, or None if it is too long.

    Raise ClientDisconnect if the connection ends before the body.
    """
    body, seen, more = bytearray(), 0, True
    while more and seen <= _DRAIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        seen += len(chunk)
        if seen <= MAX_BODY_BYTES:
            body += chunk
        more = message.get("more_body", False)
    return bytes(body) if seen <= MAX_BODY_BYTES else None


def _too_large() -> JSONResponse:
    return error_response(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"A request's body may have {MAX_BODY_BYTES // 1024} KiB.",
        headers={"connection": "close"},
    )


class _Replay:
    """A `receive` that first returns the body that was already read, then new messages."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _secured(send: Send) -> Send:
    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_secured
