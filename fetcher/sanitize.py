"""Makes hostile text valid for the report: without control characters and surrogates, limited."""

import re
from ipaddress import ip_address

SHORT, LONG, URL = 512, 4096, 8192
#: The ASCII white space of HTML; Python's `strip` and `split` also take other characters.
HTML_SPACES = "\t\n\f\r "

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = re.compile("[^!-~]")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,512}")
_OPENED = re.compile(r"https?://[!-~]{1,8184}")
#: What the WHATWG URL parser removes at both ends of its input, and within it.
_EDGES = "".join(map(chr, range(0x21)))
_DROPPED = re.compile(r"[\t\n\r]")


def strip_reference(reference: str) -> str:
    """Return a URL reference without the characters that a URL parser removes."""
    return _DROPPED.sub("", reference.strip(_EDGES))


def sanitize(text: str, limit: int = SHORT) -> str:
    """Return at most `limit` characters of the text; control characters become spaces."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[:limit]))


def sanitize_line(text: str, limit: int = SHORT) -> str:
    """Return the sanitized text with each run of white space replaced by one space."""
    # More characters than the limit are read, because removed white space does not count.
    return sanitize(" ".join(text[: limit * 8].split()), limit)


def visible_ascii(text: str, limit: int = SHORT) -> str:
    """Return the text in visible ASCII, with all other characters escaped."""
    ascii_text = text[:limit].encode("ascii", "backslashreplace").decode()
    return _UNSEEN.sub(lambda match: f"\\x{ord(match[0]):02x}", ascii_text)[:limit]


def identifier(text: str) -> str:
    """Return the text if it is a lower-case identifier, else an empty string."""
    return text if _WORD.fullmatch(text) else ""


def header_name(text: str) -> str:
    """Return the start of a header's name, or an empty string if the text is not a header name."""
    match = _TOKEN.match(text)
    return match[0] if match and match.end() == min(len(text), SHORT) else ""


def http_url(url: str) -> str:
    """Return the text if it looks like a URL that `safeurl.url` returns, else an empty string."""
    return url if _OPENED.fullmatch(url) else ""


def ip_literal(text: str) -> str:
    """Return an IP address without its zone, or an empty string if the text is not an address."""
    bare = text.strip().lower().partition("%")[0]
    try:
        ip_address(bare)
    except ValueError:
        return ""
    return bare


def decode_header(raw: bytes) -> str:
    """Decode a header's value as browsers do: UTF-8 if that is valid, else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
