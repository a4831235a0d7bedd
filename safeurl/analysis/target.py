"""Splits a URL of the evidence; never raises an error, because pages may have any text as a URL."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

#: RFC 1035: nothing longer is a host name.
_MAX_HOST = 253


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL; all empty where it cannot be parsed."""

    url: str
    scheme: str = ""
    #: Lower case, without the root's dot and without brackets.
    host: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""

    @property
    def file_name(self) -> str:
        """Return the last segment of the path, decoded."""
        return unquote(self.path.rpartition("/")[2])

    @property
    def folder(self) -> str:
        """Return the path up to its last slash, including it."""
        return self.path.rpartition("/")[0] + "/"


def split(url: str) -> Target:
    """Return the parts of a URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return Target(url)
    if len(host) > _MAX_HOST:
        return Target(url)
    return Target(
        url,
        parts.scheme,
        host.rstrip("."),
        parts.path,
        parts.query,
        parts.fragment,
    )
