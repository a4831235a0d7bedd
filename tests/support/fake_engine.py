"""A Docker engine that only tells its versions, on a unix socket."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Server(socketserver.ThreadingUnixStreamServer):
    """An engine that knows its versions and writes down what it was asked."""

    daemon_threads = True

    def __init__(self, path: Path, versions: dict[str, str]) -> None:
        self.versions = versions
        self.asked: list[str] = []
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Answers every request with the engine's versions."""

    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = json.dumps({"Version": "fake", **self.server.versions}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: a unix peer has no address to print."""


@contextmanager
def engine(path: Path, **versions: str) -> Iterator[_Server]:
    """Run an engine of these versions."""
    with _Server(path, versions) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
