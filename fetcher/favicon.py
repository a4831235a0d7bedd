"""Fetches and hashes the site's icon, with the same address policy as the page."""

import base64
import hashlib

from msgspec import Struct

from fetcher.content.body import load_body
from fetcher.content.sniff import sniff_type
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.redirects import RedirectFollower
from fetcher.sanitize import SHORT, URL, sanitize
from safeurl.errors import UrlRefusedError
from safeurl.model.report import Favicon
from safeurl.state import Outcome
from safeurl.url import ParsedUrl, resolve

_MAX_BYTES = 256 * 1024
_MAX_DATA_URL = 350 * 1024
_DEADLINE_S = 3.0
_OK = 200


class Icon(Struct, frozen=True):
    """The evidence of an icon, and its bytes."""

    favicon: Favicon
    data: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of its bytes."""
        return sniff_type(self.data)


def find_icon(
    follower: RedirectFollower, page: ParsedUrl, declared: str, deadline: Deadline
) -> Icon:
    """Return the icon that the page declares, or else the one at `/favicon.ico`."""
    if declared[:5].lower() == "data:":
        # Imported here because few pages have such an icon.
        from fetcher.content.data_url import decode_data_url  # noqa: PLC0415 - see above

        return _hash(sanitize(declared, 256), decode_data_url(declared, _MAX_DATA_URL))
    try:
        target = resolve(page, declared or "/favicon.ico", follower.policy)
    except UrlRefusedError as error:
        return _failed(declared, f"Its URL is refused ({error.reason}).")
    try:
        return _fetch(follower, target, deadline.within(_DEADLINE_S))
    except FetchFailedError as failure:
        return _failed(target.url, failure.result.detail)


def _fetch(follower: RedirectFollower, target: ParsedUrl, deadline: Deadline) -> Icon:
    response = follower.follow(target, "favicon", deadline)
    try:
        if response.head.status != _OK:
            return _failed(target.url, f"The server answered with status {response.head.status}.")
        loaded = load_body(response.exchange, response.head, _MAX_BYTES, deadline)
    finally:
        response.close()
    if loaded.result.outcome is not Outcome.OK:
        return _failed(target.url, loaded.result.detail)
    if loaded.evidence.sniffed_type == "text/html":
        return _failed(target.url, "The server sent a page in place of an icon.")
    return _hash(target.url, loaded.data)


def _hash(url: str, data: bytes) -> Icon:
    if not data:
        return _failed(url, "The icon is empty.")
    # Imported here because most failed fetches never reach an icon.
    import mmh3  # noqa: PLC0415 - see above

    favicon = Favicon(
        url=sanitize(url, URL),
        sha256=hashlib.sha256(data).hexdigest(),
        mmh3=mmh3.hash(base64.encodebytes(data)),
        size_bytes=len(data),
    )
    return Icon(favicon, data)


def _failed(url: str, reason: str) -> Icon:
    return Icon(Favicon(url=sanitize(url, URL), error=sanitize(reason, SHORT)))
