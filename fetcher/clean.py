"""Makes hostile text fit the report's fields: no control characters, no surrogates, no excess."""

import re

SHORT, LONG, URL = 512, 4096, 8192

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str, limit: int = SHORT) -> str:
    """Return at most `limit` characters of the text, each control character made a space."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[:limit]))


def fold(text: str, limit: int = SHORT) -> str:
    """Return the text cleaned, runs of white space folded into one space."""
    # A little more than the limit is looked at, or white space would eat up all of it.
    return clean(" ".join(text[: limit * 8].split()), limit)


def from_header(raw: bytes) -> str:
    """Decode a header's value as browsers do: UTF-8 where it is valid, else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
