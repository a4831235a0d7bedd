"""Makes hostile text fit the report's fields: no control characters, no surrogates, no excess."""

import re
from ipaddress import ip_address

SHORT, LONG, URL = 512, 4096, 8192

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = re.compile("[^!-~]")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,512}")
_OPENED = re.compile(r"https?://[!-~]{1,8184}")
#: What the WHATWG URL parser takes off the ends, and out of the middle.
_EDGES = "".join(map(chr, range(0x21)))
_DROPPED = re.compile(r"[\t\n\r]")


def tidy(reference: str) -> str:
    """Return a reference without what a URL parser drops, so that its start can be judged."""
    return _DROPPED.sub("", reference.strip(_EDGES))


def clean(text: str, limit: int = SHORT) -> str:
    """Return at most `limit` characters of the text, each control character made a space."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[:limit]))


def fold(text: str, limit: int = SHORT) -> str:
    """Return the text cleaned, runs of white space folded into one space."""
    # A little more than the limit is looked at, or white space would eat up all of it.
    return clean(" ".join(text[: limit * 8].split()), limit)


def visible(text: str, limit: int = SHORT) -> str:
    """Return the text in visible ASCII, all else escaped: a host that was refused may be any."""
    ascii_text = text[:limit].encode("ascii", "backslashreplace").decode()
    return _UNSEEN.sub(lambda match: f"\\x{ord(match[0]):02x}", ascii_text)[:limit]


def word(text: str) -> str:
    """Return a word of a closed list, or nothing where the text is none."""
    return text if _WORD.fullmatch(text) else ""


def token(text: str) -> str:
    """Return the start of a header's name, or nothing where the text is none."""
    match = _TOKEN.match(text)
    return match[0] if match and match.end() == min(len(text), SHORT) else ""


def opened(url: str) -> str:
    """Return a URL that `safeurl.url` has returned, or nothing for any other text."""
    return url if _OPENED.fullmatch(url) else ""


def address(text: str) -> str:
    """Return an address without its zone, or nothing where the text is none."""
    bare = text.strip().lower().partition("%")[0]
    try:
        ip_address(bare)
    except ValueError:
        return ""
    return bare


def from_header(raw: bytes) -> str:
    """Decode a header's value as browsers do: UTF-8 where it is valid, else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
