"""Decodes the scripts and documents that are in `data:` URLs, and in blobs that a script makes."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from fetcher.sanitize import HTML_SPACES, strip_reference

#: Maximum number of characters of such a URL.
_MAX_URL = 512 * 1024
#: The URL of a blob is followed by its text here, because its real one is a random number.
BLOB = "blob:"


def source_text(url: str) -> str:
    """Return the text in a `data:` or `blob:` URL; empty if there is none."""
    if url.startswith(BLOB):
        return url.removeprefix(BLOB)
    reference = strip_reference(url[:_MAX_URL])
    scheme, _, rest = reference.partition(":")
    if scheme.lower() != "data":
        return ""
    kind, comma, body = rest.partition(",")
    if not comma:
        return ""
    data = unquote_to_bytes(body.partition("#")[0])
    if kind.rpartition(";")[2].strip(HTML_SPACES).lower() == "base64":
        data = _decode(data)
    return data.decode("utf-8", "replace")


def _decode(data: bytes) -> bytes:
    """Return the bytes of Base64; empty if they are malformed."""
    try:
        return base64.b64decode(b"".join(data.split()).rstrip(b"=") + b"==")
    except (binascii.Error, ValueError):
        return b""
