"""Defangs text: writes every URL in it as `hxxp://a[.]example`, so that no program makes a link.

`safeurl.url.defang` writes one URL, which can be pasted back. This module is for all other text
that may contain URLs, such as titles, reasons and log lines, and for URLs inside URLs.
"""

import re
from typing import Final

from safeurl.printable import clean
from safeurl.url import defang

#: A scheme that browsers open, then a colon and slashes, either plain or percent-encoded once or
#: several times, then the possible host. In a sentence about `http://` no host follows.
_LINK: Final = re.compile(
    r"(?P<first>h(?=tt)|f(?=tp))t{1,2}(?P<last>ps?)"
    r"(?P<mid>(?::|%(?:25)*3a)(?:[/\\]|%(?:25)*(?:2f|5c))+)(?![\s.,;:)'\"/\\]|\Z)"
    r"(?P<host>[^\s/?#\"'<>%&\\]*)",
    re.IGNORECASE,
)
_WWW: Final = re.compile(r"(?<![\w.])www\.(?=\w)(?P<host>[\w.-]*)", re.IGNORECASE)
_DOT: Final = re.compile(r"(?<!\[)\.(?!\])(?=\w)")


def defang_text(text: str) -> str:
    """Return the text with each URL defanged, also URLs inside URLs."""
    text = _LINK.sub(_unlinked, text)
    return _WWW.sub(lambda link: f"www[.]{_undotted(link['host'])}", text)


def safe_url(url: str) -> str:
    """Return the URL defanged, with the URLs inside it, and safe for a terminal."""
    return clean(defang_text(defang(url)))


def safe_text(text: str, limit: int = 160) -> str:
    """Return hostile text as one short line without a link."""
    return clean(defang_text(text), limit)


def _unlinked(link: re.Match[str]) -> str:
    """Return the link with `hxxp` or `fxp` as its scheme and the dots of its host in brackets."""
    marks = "xx" if link["first"] in "hH" else "x"
    return f"{link['first']}{marks}{link['last']}{link['mid']}{_undotted(link['host'])}"


def _undotted(host: str) -> str:
    return _DOT.sub("[.]", host)
