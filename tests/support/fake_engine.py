"""A Docker engine on a unix socket that only reports its versions and lists containers."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Server(socketserver.ThreadingUnixStreamServer):
    """An engine that supports versions and records its requests."""

    daemon_threads = True

    def __init__(self, path: Path, versions: dict[str, str]) -> None:
        self.versions = versions
        self.asked: list[str] = []
        self.names_version_in_ping = True
        #: The connections that have carried a request.
        self.connections: set[BaseHTTPRequestHandler] = set()
        #: Makes the list of containers at the time of the request.
        self.containers: Callable[[], list[dict[str, object]]] = list
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Responds to every other request with the engine's versions."""

    server: _Server
    #: So that a client can keep its connection.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.connections.add(self)
        if self.path.partition("?")[0].endswith("/containers/json"):
            answer: object = self.server.containers()
        else:
            answer = {"Version": "fake", **self.server.versions}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/_ping" and self.server.names_version_in_ping:
            self.send_header("Api-Version", self.server.versions["ApiVersion"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a unix peer has no address to print."""


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
