"""Parses `Refresh` headers and `<meta http-equiv=refresh>` as the HTML standard specifies."""

import re
from typing import NamedTuple

_MAX_DELAY_S = 1e9
#: A number with more digits than this is longer than the maximum delay.
_MAX_DIGITS = 12
_MAX_URL = 8192

#: The standard's ASCII white space, without U+000B and without Unicode white space.
_SPACES = "\t\n\f\r "
_DELAY = re.compile(r"[\t\n\f\r ]*+(?:([0-9]++)|(?=\.))[0-9.]*+")
_SEPARATOR = re.compile(r"(?=[;,\t\n\f\r ])[\t\n\f\r ]*+[;,]?+[\t\n\f\r ]*+")
_NAME = re.compile(r"[Uu][Rr][Ll][\t\n\f\r ]*+=[\t\n\f\r ]*+")


class Refresh(NamedTuple):
    """The delay in seconds, and the URL as written (empty: the page itself)."""

    delay_s: float
    url: str


def parse_refresh(content: str) -> Refresh | None:
    """Parse `5; url=/next` by the shared declarative refresh steps; None if it is not a refresh."""
    delay = _DELAY.match(content)
    if delay is None:
        return None
    digits = (delay[1] or "0").lstrip("0") or "0"
    delay_s = _MAX_DELAY_S if len(digits) > _MAX_DIGITS else min(float(digits), _MAX_DELAY_S)
    if delay.end() == len(content):
        return Refresh(delay_s, "")
    separator = _SEPARATOR.match(content, delay.end())
    if separator is None:
        return None
    return Refresh(delay_s, _url(content[separator.end() :]))


def _url(text: str) -> str:
    """Return the URL without the prefix `url=` and without quotes."""
    name = _NAME.match(text)
    if name is not None:
        text = text[name.end() :]
    # If the prefix is incomplete, its letters belong to the URL, and so do quotes after them.
    if text[:1] in {'"', "'"}:
        text = text[1:].partition(text[0])[0]
    return text.strip(_SPACES)[:_MAX_URL]
