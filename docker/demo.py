#!/usr/bin/env python3
"""Serves the harmless page which docker/quickstart.sh has scanned when no URL is given.

It listens on the address of one network interface of this machine, loopback by default,
which nobody outside reaches. It prints its URL and ends by itself after a while. Only the
standard library is needed.
"""

import argparse
import fcntl
import socket
import struct
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: ioctl that asks for an interface's IPv4 address (linux/sockios.h).
SIOCGIFADDR = 0x8915
#: Where an ifreq holds that address: 16 bytes of name, 2 of family, 2 of port, then 4 of address.
ADDRESS = slice(20, 24)

#: A page as credential phishers build it. Its form leads nowhere: the server takes no POST.
PAGE = """<!doctype html>
<!-- saved from url=(0029)https://www.paypal.com/signin -->
<html lang="en">
<head>
<meta charset="utf-8">
<title>PayPal: Log in to your account</title>
<meta name="description" content="SafeURL demonstration: a harmless imitation.">
<meta name="robots" content="noindex">
</head>
<body>
<p><strong>SafeURL demonstration.</strong> This page imitates a fake log-in page so that a scan has
something to find. It belongs to nobody, keeps nothing and is served on this machine only.</p>
<h1>Your account is limited</h1>
<p>Unusual activity was noticed. Confirm your details within 24 hours.</p>
<form action="login.php" method="post">
<label>E-mail <input type="email" name="login_email" autocomplete="off"></label>
<label>Password <input type="password" name="login_password" autocomplete="off"></label>
<label>Card number <input type="text" name="card_number" autocomplete="off"></label>
<label>Security code <input type="text" name="cvv" autocomplete="off"></label>
<button type="submit">Log in</button>
</form>
<p><a href="#">Help</a> <a href="#">Contact</a> <a href="#">Privacy</a> <a href="#">Legal</a></p>
</body>
</html>
"""


class DemoHandler(BaseHTTPRequestHandler):
    """Answers `/` with a redirect and `/signin` with the page; everything else is not there."""

    server_version = "SafeURLDemo"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET request."""
        if self.path == "/":
            self._answer(HTTPStatus.FOUND, "", {"Location": "/signin"})
        elif self.path == "/signin":
            self._answer(HTTPStatus.OK, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._answer(HTTPStatus.NOT_FOUND, "not here\n", {"Content-Type": "text/plain"})

    def _answer(self, status: HTTPStatus, text: str, headers: dict[str, str]) -> None:
        """Send one complete response."""
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
        """Stay silent: the scan's own output is what one should read."""


def address_of(interface: str) -> str:
    """Return the IPv4 address of a network interface; no tool for that is on every machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", interface.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(probe, SIOCGIFADDR, request)[ADDRESS])


def main() -> None:
    """Serve until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interface", default="lo", help="whose address to listen on")
    parser.add_argument("--seconds", type=float, default=600, help="after which to end")
    arguments = parser.parse_args()
    host = address_of(arguments.interface)
    with ThreadingHTTPServer((host, 0), DemoHandler) as server:
        timer = threading.Timer(arguments.seconds, server.shutdown)
        timer.daemon = True
        timer.start()
        sys.stdout.write(f"http://{host}:{server.server_port}/\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
