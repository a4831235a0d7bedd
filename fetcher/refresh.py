"""Reads what `Refresh` headers and `<meta http-equiv=refresh>` say."""

import re
from typing import NamedTuple

_MAX_DELAY_S = 1e9
_DELAY = re.compile(r"(?=[\d.])(\d{0,12})[\d.]{0,99}")
_URL = re.compile(r"[\s;,]{1,99}(?:url\s{0,99}=\s{0,99})?(.{0,8192})", re.IGNORECASE | re.DOTALL)


class Refresh(NamedTuple):
    """After how many seconds, and to which URL as written (empty: the page itself)."""

    delay_s: float
    url: str


def parse_refresh(content: str) -> Refresh | None:
    """Read `5; url=/next` in the spellings that browsers take; None where it is no refresh."""
    content = content.strip()
    delay = _DELAY.match(content)
    if delay is None:
        return None
    match = _URL.match(content, delay.end())
    url = match[1].strip() if match else ""
    if url[:1] in {'"', "'"}:
        url = url[1:].partition(url[0])[0]
    return Refresh(min(float(delay[1] or 0), _MAX_DELAY_S), url)
