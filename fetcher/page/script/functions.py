"""JavaScript operators and functions for values that are known."""

import base64
import binascii
import math
import re
from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from fetcher.page.script.sources import BLOB

#: Maximum number of characters of a text and of items of a list.
MAX_TEXT = 256 * 1024
MAX_ITEMS = 4096
_MAX_CODE_POINT = 0x10FFFF
#: Above this, Python and JavaScript format numbers differently.
_WHOLE = 1e15
#: Above this, bit operations of JavaScript cut numbers off.
_MAX_WHOLE = 2.0**31 - 1
#: Maximum length of a number literal.
_MAX_DIGITS = 400
_PERCENT_U = re.compile(r"%u([0-9a-fA-F]{4})")
_SAFE = "!#$&'()*+,/:;=?@-._~"


class Path(Struct, frozen=True):
    """A dotted name whose value has not been looked up."""

    names: tuple[str, ...]


class Prefix(Struct, frozen=True):
    """A text of which only the beginning is known."""

    text: str


Value = str | float | list["Value"] | Path | Prefix | None


def apply_operator(symbol: str, left: Value, right: Value) -> Value:
    """Return the result of a binary operator; None if it is unknown."""
    if symbol == "+":
        return _add(left, right)
    if symbol == "&&":
        return right
    if symbol in {"||", "??"}:
        return right if left is None else left
    if isinstance(left, float) and isinstance(right, float) and symbol in _ARITHMETIC:
        return _calculate(symbol, left, right)
    return None


def _calculate(symbol: str, left: float, right: float) -> Value:
    """Return the result for two numbers; None if it is not finite or a part is too large."""
    if max(abs(left), abs(right)) > _MAX_WHOLE or (symbol in {"/", "%"} and not right):
        return None
    return float(_ARITHMETIC[symbol](left, right))


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "*": lambda left, right: left * right,
    "-": lambda left, right: left - right,
    "/": lambda left, right: left / right,
    "%": math.fmod,
    "^": lambda left, right: int(left) ^ int(right),
    "&": lambda left, right: int(left) & int(right),
    "|": lambda left, right: int(left) | int(right),
}


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    first = _written(left) if isinstance(left, float) else left
    second = _written(right) if isinstance(right, float) else right
    match first, second:
        case str(), str():
            text = first + second
            return text if len(text) <= MAX_TEXT else Prefix(text[:MAX_TEXT])
        case str(), Prefix():
            return Prefix((first + second.text)[:MAX_TEXT])
        case str(), _:
            return Prefix(first)
        case Prefix(), _:
            return first
        case _:
            return None


def number(text: str) -> Value:
    """Return the value of a number literal; None if it is so long that reading it is slow."""
    if len(text) > _MAX_DIGITS:
        return None
    return float(int(text[:18], 16)) if text[:2].lower() == "0x" else float(text)


def _written(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < _WHOLE else str(number)


def item(value: Value, index: Value) -> Value:
    """Return an item of a list or a character of a text."""
    if isinstance(value, (list, str)) and isinstance(index, float) and 0 <= index < len(value):
        return value[int(index)]
    return None


def page_url_part(names: tuple[str, ...], page_url: str) -> Value:
    """Return a part of the page's own URL."""
    if names in {("location",), ("location", "href"), ("URL",), ("documentURI",), ("baseURI",)}:
        return page_url
    if names[:1] != ("location",):
        return None
    try:
        parts = urlsplit(page_url)
        host = parts.hostname or ""
    except ValueError:
        return None
    return {
        "protocol": f"{parts.scheme}:",
        "host": parts.netloc.rpartition("@")[2],
        "hostname": host,
        "origin": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        "pathname": parts.path,
        "search": f"?{parts.query}" if parts.query else "",
        "hash": f"#{parts.fragment}" if parts.fragment else "",
    }.get(".".join(names[1:]))


def from_codes(pieces: list[Value]) -> Value:
    """Return the text of these character codes."""
    codes = [
        piece for piece in pieces if isinstance(piece, float) and 0 <= piece <= _MAX_CODE_POINT
    ]
    return "".join(chr(int(code)) for code in codes) if len(codes) == len(pieces) else None


def element_path(name: str, text: str) -> Value:
    """Return the name of the element that a call finds or makes."""
    if name == "createElement":
        return Path((f"#<{text.lower()}>",))
    mark = "." if name == "getElementsByClassName" else ""
    return Path((f"#{mark}{text.lstrip('#')}",))


def blob_text(pieces: list[Value]) -> Value:
    """Return the text of a blob that is made of these pieces."""
    parts = pieces[0] if pieces and isinstance(pieces[0], list) else []
    found = [part for part in parts if isinstance(part, str)]
    return join(found) if found and len(found) == len(parts) else None


def join(parts: list[str]) -> str:
    """Return the texts as one, up to the maximum length, without making a longer one."""
    found: list[str] = []
    left = MAX_TEXT
    for part in parts:
        found.append(part[: max(left, 0)])
        left -= len(part)
    return "".join(found)


def _atob(text: str) -> Value:
    try:
        return base64.b64decode("".join(text.split()) + "==").decode("latin-1")
    except (binascii.Error, ValueError):
        return None


def _quote(text: str, safe: str) -> Value:
    quoted = quote(text.encode("utf-8", "replace"), safe=safe)
    return quoted if len(quoted) <= MAX_TEXT else Prefix(quoted[:MAX_TEXT])


#: Functions from a text to a text.
FUNCTIONS: dict[str, Callable[[str], Value]] = {
    "atob": _atob,
    "unescape": lambda text: unquote(
        _PERCENT_U.sub(lambda match: chr(int(match[1], 16)), text), encoding="latin-1"
    ),
    "decodeURIComponent": unquote,
    "decodeURI": unquote,
    "encodeURIComponent": lambda text: _quote(text, "!'()*-._~"),
    "encodeURI": lambda text: _quote(text, _SAFE),
    "String": str,
    "URL": str,
    "raw": str,
    "createTextNode": str,
    "createObjectURL": lambda text: f"{BLOB}{text}",
}


def text_method(text: str, name: str, pieces: list[Value], pattern: str) -> Value:
    """Return the result of a string method."""
    first = pieces[0] if pieces else None
    if name == "split" and isinstance(first, str):
        parts = text.split(first) if first else list(text)
        return list[Value](parts[:MAX_ITEMS])
    if name in {"replace", "replaceAll"}:
        return _replace(text, name, pieces, pattern)
    if name == "concat":
        texts = [piece for piece in pieces if isinstance(piece, str)]
        return join([text, *texts]) if len(texts) == len(pieces) else None
    if name in _MADE:
        return _MADE[name](text, pieces)
    numbers = [int(x) for x in pieces[:2] if isinstance(x, float) and abs(x) < _WHOLE]
    if numbers and name in _CUTS:
        return _CUTS[name](text, numbers)
    return _CHANGES[name](text) if name in _CHANGES else None


def _replace(text: str, name: str, pieces: list[Value], pattern: str) -> Value:
    if len(pieces) < len(("old", "new")) or not isinstance(new := pieces[1], str):
        return None
    old = pieces[0] if isinstance(pieces[0], str) else _literal_pattern(pattern)
    is_all = name == "replaceAll" or "g" in pattern.rpartition("/")[2]
    count = text.count(old) if is_all else 1
    fits = old and len(text) + count * len(new) <= MAX_TEXT
    return text.replace(old, new, count) if fits else None


def _substring(text: str, numbers: list[int]) -> Value:
    first, last = max(0, numbers[0]), max(0, numbers[-1])
    return text[min(first, last) : max(first, last)] if len(numbers) > 1 else text[first:]


def _substr(text: str, numbers: list[int]) -> Value:
    start = numbers[0] if numbers[0] >= 0 else max(0, len(text) + numbers[0])
    return text[start : start + max(0, numbers[1])] if len(numbers) > 1 else text[start:]


def _repeat(text: str, pieces: list[Value]) -> Value:
    count = pieces[0] if pieces else None
    if not isinstance(count, float) or not 0 <= count < _WHOLE:
        return None
    if len(text) * int(count) > MAX_TEXT:
        return Prefix((text * (MAX_TEXT // len(text) + 1))[:MAX_TEXT])
    return text * int(count)


def _pad_start(text: str, pieces: list[Value]) -> Value:
    match pieces:
        case [float(size), *rest] if size <= MAX_TEXT:
            filler = next(iter(rest), " ")
            missing = max(0, int(size) - len(text))
            if not isinstance(filler, str) or not filler:
                return text if filler == "" else None
            return (filler * (missing // len(filler) + 1))[:missing] + text
        case _:
            return None


def _code_at(text: str, pieces: list[Value]) -> Value:
    index = pieces[0] if pieces else 0.0
    is_inside = isinstance(index, float) and 0 <= index < len(text)
    return float(ord(text[int(index)])) if is_inside and isinstance(index, float) else None


def _at(text: str, pieces: list[Value]) -> Value:
    index = pieces[0] if pieces else 0.0
    is_inside = isinstance(index, float) and -len(text) <= index < len(text)
    return text[int(index)] if is_inside and isinstance(index, float) else None


_MADE: dict[str, Callable[[str, list[Value]], Value]] = {
    "repeat": _repeat,
    "padStart": _pad_start,
    "charCodeAt": _code_at,
    "codePointAt": _code_at,
    "at": _at,
}
_CUTS: dict[str, Callable[[str, list[int]], Value]] = {
    "slice": lambda text, numbers: text[numbers[0] : (numbers[1] if numbers[1:] else None)],
    "substring": _substring,
    "substr": _substr,
    "charAt": lambda text, numbers: text[numbers[0] : numbers[0] + 1] if numbers[0] >= 0 else "",
}
_CHANGES: dict[str, Callable[[str], Value]] = {
    "toString": str,
    "valueOf": str,
    "trim": str.strip,
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
}


def list_method(items: list[Value], name: str, texts: list[str]) -> Value:
    """Return the result of an array method."""
    match name:
        case "reverse":
            return items[::-1]
        case "join":
            parts = [item for item in items if isinstance(item, str)]
            glue = texts[0] if texts else ","
            size = sum(map(len, parts)) + len(glue) * len(parts)
            return glue.join(parts) if len(parts) == len(items) and size <= MAX_TEXT else None
        case _:
            return None


def _literal_pattern(pattern: str) -> str:
    """Return the text that a regular expression matches if it has no operators; else empty."""
    body = pattern[1:].rpartition("/")[0]
    return re.sub(r"\\([^\w])", r"\1", body) if re.fullmatch(r"(?:[\w -]|\\\W)+", body) else ""
