"""Ready-made pages for `PageServer`: innocent, phishing-like, slow, huge, compressed, endless."""

import argparse
import gzip
import itertools
import signal
import threading
import zlib
from collections.abc import Iterator

import brotli  # type: ignore[import-untyped]  # the package ships no types
import zstandard

from tests.support.pages import Handler, PageServer, Reply, Request, html, not_found, redirect

_MIB = 1024 * 1024

#: A login page as kits make them: a brand in the title, dead links, a password sent to a script.
LOGIN_PAGE = """<!doctype html><html lang="en"><head><title>PayPal: Log in to your account</title>
<meta name="description" content="Log in to confirm your account."></head><body>
<h1>Your account has been limited</h1><p>Verify your identity within 24 hours.</p>
<form action="next.php" method="post">
<input type="email" name="login_email" placeholder="Email">
<input type="password" name="login_password" placeholder="Password">
<button type="submit">Log in</button></form>
<a href="#">Forgot password?</a> <a href="#">Sign up</a> <a href="javascript:void(0)">Help</a>
</body></html>"""

HOME_PAGE = """<!doctype html><html lang="en"><head><title>A quiet page</title>
<meta name="description" content="Nothing happens here."><link rel="canonical" href="/">
</head><body><h1>Hello</h1><p>A page without tricks.</p><a href="/about">About</a></body></html>"""


def compress(data: bytes, encoding: str) -> bytes:
    """Compress as the named content encoding does; `raw-deflate` is deflate without its header."""
    if encoding == "gzip":
        return gzip.compress(data, 6)
    if encoding == "deflate":
        return zlib.compress(data)
    if encoding == "raw-deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush()
    if encoding == "br":
        return bytes(brotli.compress(data, quality=5))
    return zstandard.ZstdCompressor().compress(data)


def encoded(data: bytes, encoding: str) -> Reply:
    """Return a page with its Content-Encoding."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    return Reply(compress(data, encoding), headers=(("Content-Encoding", name),))


def bomb(encoding: str, size: int = 200 * _MIB) -> Reply:
    """Return a small body that unpacks to `size` bytes."""
    return encoded(b"\0" * size, encoding)


def endless(piece: bytes = b"x" * 65536) -> Iterator[bytes]:
    """Yield the piece for ever."""
    return itertools.repeat(piece)


def trickle(request: Request, piece: bytes = b"x", pause_s: float = 0.2) -> Iterator[bytes]:
    """Yield the piece again and again, slowly."""
    while not request.closing.is_set():
        yield piece
        request.sleep(pause_s)


def many_headers(count: int) -> Reply:
    """Return a page with that many headers."""
    return html("<title>Many</title>", headers=tuple((f"X-{n}", str(n)) for n in range(count)))


def _slow(request: Request) -> Reply:
    request.sleep(float(request.query.get("s", "5")))
    return html("<title>Late</title>")


def _status(request: Request) -> Reply:
    code = int(request.path.rpartition("/")[2])
    return html(f"<title>Status {code}</title>", code)


def _redirect(request: Request) -> Reply:
    left = int(request.query.get("n", "1"))
    return redirect(f"/redirect?n={left - 1}" if left > 1 else "/")


STANDARD_ROUTES: dict[str, Handler] = {
    "/": lambda _: html(HOME_PAGE),
    "/login": lambda _: html(LOGIN_PAGE),
    "/slow": _slow,
    "/redirect": _redirect,
    "/big": lambda request: Reply(
        itertools.repeat(b"x" * 65536, int(request.query.get("mib", "20")) * 16), chunked=True
    ),
    "/endless": lambda _: Reply(endless(), chunked=True),
    "/trickle": lambda request: Reply(trickle(request), chunked=True),
    "/headers": lambda request: many_headers(int(request.query.get("n", "10000"))),
    "/garbage": lambda _: Reply(b"\x00\xff this is not HTTP\r\n\r\n", raw=True),
    "/gzip-bomb": lambda _: bomb("gzip"),
    "/br-bomb": lambda _: bomb("br"),
    "/zstd-bomb": lambda _: bomb("zstd"),
}


def standard(request: Request) -> Reply:
    """Respond to `/status/N`, and with 404 to unknown paths: the standard server's fallback."""
    if request.path.startswith("/status/") and request.path[8:].isdecimal():
        return _status(request)
    return not_found(request)


def main() -> None:
    """Serve the standard routes until SIGTERM or SIGINT; print the address once it listens."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.pages", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with PageServer(
        dict(STANDARD_ROUTES), host=options.host, port=options.port, fallback=standard
    ) as server:
        print(server.url("/"), flush=True)  # noqa: T201 - callers read the address from stdout
        done.wait()
