"""Decodes `data:` URLs as the Fetch standard does."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from fetcher.sanitize import HTML_SPACES, strip_reference

#: The mark of Base64 at the end of the media type: only spaces may be inside of it.
_BASE64 = re.compile(r"; *base64\Z", re.IGNORECASE)
_SPACES = HTML_SPACES.encode()
#: Characters in a group of Base64.
_GROUP = 4


def decode_data_url(url: str, limit: int) -> bytes:
    """Return the bytes of a `data:` URL; empty if it is malformed or longer than the limit."""
    reference = strip_reference(url) if len(url) <= limit else ""
    scheme, _, rest = reference.partition(":")
    kind, comma, body = rest.partition(",")
    if scheme.lower() != "data" or not comma:
        return b""
    # A script may put half of a surrogate pair into the URL.
    data = unquote_to_bytes(body.partition("#")[0].encode("utf-8", "surrogatepass"))
    return _decode(data) if _BASE64.search(kind.strip(HTML_SPACES)) else data


def _decode(data: bytes) -> bytes:
    """Return the bytes of Base64 with or without padding; empty if it is malformed."""
    text = data.translate(None, _SPACES)
    if len(text) % _GROUP == 0:
        text = text.removesuffix(b"=").removesuffix(b"=")
    if b"=" in text:
        return b""
    try:
        return base64.b64decode(text + b"=" * (-len(text) % _GROUP), validate=True)
    except (binascii.Error, ValueError):
        return b""
