"""Decodes the scripts and documents that are in `data:` URLs, and in blobs that a script makes."""

from fetcher.content.data_url import decode_data_url

#: Maximum number of characters of such a URL.
_MAX_URL = 512 * 1024
#: The URL of a blob is followed by its text here, because its real one is a random number.
BLOB = "blob:"


def source_text(url: str) -> str:
    """Return the text in a `data:` or `blob:` URL; empty if there is none."""
    if url.startswith(BLOB):
        return url.removeprefix(BLOB)
    return decode_data_url(url, _MAX_URL).decode("utf-8", "replace")
