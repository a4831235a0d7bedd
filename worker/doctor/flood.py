"""Floods the gateway as one sandbox could: a request body of one-byte chunks that never ends.

Runs as its own process: `python -m worker.doctor.flood FOLDER`, with the folder of the sandbox's
socket. It writes a line when the flood has begun, and exits when its standard input closes.
"""

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Final

from worker.egress.protocol import SOCKET_NAME
from worker.egress.unix_socket import short_path

_CHUNKS: Final = b"1\r\na\r\n" * 10_000
_READ_BYTES: Final = 256 * 1024
#: A low priority: the flood must keep the gateway busy, and not slow down the measuring process.
_NICE: Final = 19


def main() -> None:
    """Flood the gateway until standard input closes."""
    os.nice(_NICE)
    folder = Path(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_read_all, args=(listener,), daemon=True).start()
    threading.Thread(target=_flood, args=(folder, listener), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


def _read_all(listener: socket.socket) -> None:
    """Serve as the destination of the flood: read and discard everything."""
    buffer = bytearray(_READ_BYTES)
    while True:
        with listener.accept()[0] as accepted, contextlib.suppress(OSError):
            while accepted.recv_into(buffer):
                pass


def _flood(folder: Path, listener: socket.socket) -> None:
    where = f"127.0.0.1:{listener.getsockname()[1]}"
    head = f"POST http://{where}/ HTTP/1.1\r\nHost: {where}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        with short_path(folder, SOCKET_NAME) as path:
            connection.connect(path)
        connection.sendall(head.encode() + _CHUNKS)
        os.write(sys.stdout.fileno(), b"flooding\n")
        while True:
            connection.sendall(_CHUNKS)


if __name__ == "__main__":
    main()
