"""What a response's Content-Type headers say together, and what a browser then does with it.

The rules are the Fetch Standard's "extract a MIME type" and the MIME Sniffing Standard's.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's word for a word
_ESSENCE = re.compile(rf"[ \t\r\n]*({_TOKEN})/({_TOKEN})[ \t\r\n]*(?:;|\Z)")
#: A comma ends a value, unless it stands inside of quotes.
_VALUE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+\\?+(?:"|\Z))*+', re.DOTALL)
_PARAMETER = re.compile(
    rf';[ \t\r\n]*({_TOKEN})=(?:"((?:[^"\\]|\\.)*+\\?+)"?[^;]*|([^;]*))', re.DOTALL
)
#: As much as one header's value is read of.
_MAX_CHARS = 8192
#: As the report's field holds.
_MAX_ESSENCE = 255
#: Quotes may hold more, which no character set is called.
_LABEL = re.compile(r"[^\s\"';,]+")
_KEPT = re.compile(r"[a-z0-9_!#$&^.+*-]+/[a-z0-9_!#$&^.+*-]+")


class MediaType(NamedTuple):
    """A media type in lower case without parameters, and its character set's label."""

    essence: str = ""
    charset: str = ""

    @property
    def text(self) -> str:
        """Return it as one Content-Type header would say it; what is no label is left out."""
        label = self.charset.strip("\t\n\f\r ")
        return f"{self.essence};charset={label}" if _LABEL.fullmatch(label) else self.essence


def extract(headers: Iterable[str]) -> MediaType:
    """Return the last valid type of all the Content-Type headers; an empty one if there is none.

    A later value of the same type without a character set keeps the earlier one's.
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


def reportable(essence: str) -> str:
    """Return the type as the report's field takes it; empty where it has other letters."""
    return essence if _KEPT.fullmatch(essence) else ""


def _values(headers: Iterable[str]) -> Iterator[str]:
    for header in headers:
        text, start = header[:_MAX_CHARS], 0
        while start <= len(text):
            match = _VALUE.match(text, start)
            end = match.end() if match else len(text)
            yield text[start:end]
            start = end + 1


def _charset(parameters: str) -> str:
    for name, quoted, bare in _PARAMETER.findall(parameters):
        if name.lower() == "charset":
            return re.sub(r"\\(.)", r"\1", quoted) or str(bare).rstrip(" \t\r\n")
    return ""
