"""Reads the media type from the Content-Type headers of a response, as browsers do.

The rules are "extract a MIME type" of the Fetch Standard and the MIME Sniffing Standard.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's term, not a secret
_ESSENCE = re.compile(rf"[ \t\r\n]*({_TOKEN})/({_TOKEN})[ \t\r\n]*(?:;|\Z)")
#: One value; it ends at a comma outside of quotes.
_VALUE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+\\?+(?:"|\Z))*+', re.DOTALL)
_PARAMETER = re.compile(
    rf';[ \t\r\n]*({_TOKEN})=(?:"((?:[^"\\]|\\.)*+\\?+)"?[^;]*|([^;]*))', re.DOTALL
)
#: Maximum number of characters that are read of one header.
_MAX_CHARS = 8192
#: Maximum length of the report's field.
_MAX_ESSENCE = 255
#: A label that can be written without quotes. No character set has another label.
_LABEL = re.compile(r"[^\s\"';,]+")
_KEPT = re.compile(r"[a-z0-9_!#$&^.+*-]+/[a-z0-9_!#$&^.+*-]+")


class MediaType(NamedTuple):
    """The media type in lower case without parameters, and the label of its character set."""

    essence: str = ""
    charset: str = ""

    @property
    def header_value(self) -> str:
        """The value of a Content-Type header with this type and character set."""
        label = self.charset.strip("\t\n\f\r ")
        return f"{self.essence};charset={label}" if _LABEL.fullmatch(label) else self.essence


def extract_media_type(headers: Iterable[str]) -> MediaType:
    """Return the last valid type of all Content-Type headers; an empty one if there is none.

    If the same type is repeated without a character set, the earlier character set remains.
    """
    found = MediaType()
    for value in _values(headers):
        match = _ESSENCE.match(value)
        essence = f"{match[1]}/{match[2]}".lower() if match else ""
        if not essence or essence == "*/*" or len(essence) > _MAX_ESSENCE:
            continue
        charset = _charset(value[match.end() - 1 :] if match else "")
        if not charset and essence == found.essence:
            charset = found.charset
        found = MediaType(essence, charset)
    return found


def reportable_type(essence: str) -> str:
    """Return the type if its characters are valid in the report, else an empty string."""
    return essence if _KEPT.fullmatch(essence) else ""


def _values(headers: Iterable[str]) -> Iterator[str]:
    for header in headers:
        header_value, start = header[:_MAX_CHARS], 0
        while start <= len(header_value):
            match = _VALUE.match(header_value, start)
            end = match.end() if match else len(header_value)
            yield header_value[start:end]
            start = end + 1


def _charset(parameters: str) -> str:
    for name, quoted, bare in _PARAMETER.findall(parameters):
        if name.lower() == "charset":
            return re.sub(r"\\(.)", r"\1", quoted) or str(bare).rstrip(" \t\r\n")
    return ""
