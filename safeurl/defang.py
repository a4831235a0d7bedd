"""Text in which no program finds a link: every URL in it is written as `hxxp://a[.]example`.

`safeurl.url.defang` writes one URL so that it can be pasted back. This is for all other text that
may hold URLs, as titles, reasons and log lines do, and for the URLs inside of URLs.
"""

import re
from typing import Final

from safeurl.printable import clean
from safeurl.url import defang

#: A scheme that opens a browser, with its colon and slashes as they are or percent-encoded, once
#: or several times; then what may be its host. A sentence about `http://` names no host.
_LINK: Final = re.compile(
    r"(?P<first>h(?=tt)|f(?=tp))t{1,2}(?P<last>ps?)"
    r"(?P<mid>(?::|%(?:25)*3a)(?:[/\\]|%(?:25)*(?:2f|5c))+)(?![\s.,;:)'\"/\\]|\Z)"
    r"(?P<host>[^\s/?#\"'<>%&\\]*)",
    re.IGNORECASE,
)
_WWW: Final = re.compile(r"(?<![\w.])www\.(?=\w)(?P<host>[\w.-]*)", re.IGNORECASE)
_DOT: Final = re.compile(r"(?<!\[)\.(?!\])(?=\w)")


def defang_text(text: str) -> str:
    """Return the text with each of its URLs defanged, nested ones too."""
    text = _LINK.sub(_unlinked, text)
    return _WWW.sub(lambda link: f"www[.]{_undotted(link['host'])}", text)


def safe_url(url: str) -> str:
    """Return the URL defanged, with those inside, and fit for a terminal."""
    return clean(defang_text(defang(url)))


def safe_text(text: str, limit: int = 160) -> str:
    """Return hostile text as one short line that holds no link."""
    return clean(defang_text(text), limit)


def _unlinked(link: re.Match[str]) -> str:
    """Return `hxxp` and `fxp` for the schemes, and the host with its dots in brackets."""
    marks = "xx" if link["first"] in "hH" else "x"
    return f"{link['first']}{marks}{link['last']}{link['mid']}{_undotted(link['host'])}"


def _undotted(host: str) -> str:
    return _DOT.sub("[.]", host)
