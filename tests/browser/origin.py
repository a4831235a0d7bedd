"""A loopback server for a case, and the requests it received."""

from collections.abc import Mapping

from tests.browser.case import ORIGIN, Case, Response
from tests.support.pages import PageServer, Reply, Request, not_found


def serve(case: Case) -> PageServer:
    """Return a server for the case's responses; a context manager."""
    return serve_site(case.responses)


def serve_site(
    responses: Mapping[str, Response], host: str = "127.0.0.1", port: int = 0
) -> PageServer:
    """Return a server for these responses by request target."""

    def reply(request: Request) -> Reply:
        found = responses.get(request.target, responses.get("*"))
        if found is None:
            return not_found(request)
        head, end, body = (found(request) if callable(found) else found).partition(b"\r\n\r\n")
        return Reply(
            head.replace(ORIGIN.encode(), authority(server).encode()) + end + body, raw=True
        )

    server = PageServer(host=host, port=port, fallback=reply)
    return server


def authority(server: PageServer) -> str:
    """Return the address that `ORIGIN` replaces."""
    return f"{server.host}:{server.port}"


def page_requests(server: PageServer) -> list[Request]:
    """Return the requests so far, in order, without requests for an icon."""
    return [request for request in tuple(server.requests) if request.target != "/favicon.ico"]


def summaries(server: PageServer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return `METHOD target` and the Cookie header of each request."""
    requests = page_requests(server)
    lines = tuple(f"{request.method} {request.target}" for request in requests)
    return lines, tuple(request.headers.get("cookie", "") for request in requests)
