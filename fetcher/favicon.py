"""Fetches and hashes the site's icon, through the same guards as the page."""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from fetcher.content.body import load
from fetcher.content.sniff import sniff_type
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.redirects import Walker
from fetcher.sanitize import SHORT, URL, clean
from safeurl.errors import UrlRefusedError
from safeurl.model.report import Favicon
from safeurl.state import Outcome
from safeurl.url import ParsedUrl, resolve

_MAX_BYTES = 256 * 1024
_MAX_DATA_URL = 350 * 1024
_DEADLINE_S = 3.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Icon:
    """What is reported of an icon, and its bytes."""

    favicon: Favicon
    data: bytes = b""

    @property
    def media_type(self) -> str:
        """The type its bytes show."""
        return sniff_type(self.data)


def find_icon(walker: Walker, page: ParsedUrl, declared: str, deadline: Deadline) -> Icon:
    """Return the icon the page declares, or the one at `/favicon.ico`."""
    if declared[:5].lower() == "data:":
        return _hashed(clean(declared, 256), _decoded(declared))
    try:
        target = resolve(page, declared or "/favicon.ico", walker.policy)
    except UrlRefusedError as error:
        return _failed(declared, f"Its URL is refused ({error.reason}).")
    try:
        return _fetched(walker, target, deadline.within(_DEADLINE_S))
    except FetchFailedError as failure:
        return _failed(target.url, failure.ending.detail)


def _fetched(walker: Walker, target: ParsedUrl, deadline: Deadline) -> Icon:
    visit = walker.arrive(target, "favicon", deadline)
    try:
        if visit.head.status != _OK:
            return _failed(target.url, f"The server answered with status {visit.head.status}.")
        loaded = load(visit.exchange, visit.head, _MAX_BYTES, deadline)
    finally:
        visit.close()
    if loaded.ending.outcome is not Outcome.OK:
        return _failed(target.url, loaded.ending.detail)
    if loaded.body.sniffed_type == "text/html":
        return _failed(target.url, "The server sent a page in place of an icon.")
    return _hashed(target.url, loaded.data)


def _hashed(url: str, data: bytes) -> Icon:
    if not data:
        return _failed(url, "The icon is empty.")
    # Loaded here since most fetches that fail never come to an icon.
    import mmh3  # noqa: PLC0415 - see above

    favicon = Favicon(
        url=clean(url, URL),
        sha256=hashlib.sha256(data).hexdigest(),
        mmh3=mmh3.hash(base64.encodebytes(data)),
        size_bytes=len(data),
    )
    return Icon(favicon, data)


def _failed(url: str, reason: str) -> Icon:
    return Icon(Favicon(url=clean(url, URL), error=clean(reason, SHORT)))


def _decoded(url: str) -> bytes:
    """Return the bytes of a `data:` URL; none where it is malformed or too large."""
    if len(url) > _MAX_DATA_URL:
        return b""
    head, _, payload = url.partition(",")
    data = unquote_to_bytes(payload)
    if not head.rstrip().lower().endswith(";base64"):
        return data
    try:
        return base64.b64decode(b"".join(data.split()) + b"==")
    except ValueError:
        return b""
