"""One connection of a sandbox: read the request, decide, connect, transfer the bytes."""
