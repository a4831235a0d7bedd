"""Refangs URLs: removes the marks by which people make a URL harmless in text.

This module reads only text that a user pasted, never what a server sent. It removes marks that
cannot be part of a URL at their place: brackets and HTML entities in scheme and host. It keeps
characters that may belong to the URL: round brackets in a host, and everything in the path of a URL
that is not defanged.

The supported forms are those that iocextract, ioc-finder and ioc-fanger document and test.
"""

import re
from typing import Final


class TwoHostsError(ValueError):
    """A mark may belong to the host or replace something else, and the two hosts differ."""

    def __init__(self, as_written: str, as_meant: str) -> None:
        """Store the host that a browser opens, and the host if the text is defanged."""
        super().__init__(as_written, as_meant)
        self.as_written = as_written
        self.as_meant = as_meant


#: The forms of `http` in defanged text.
_HTTP: Final = r"h\s?(?:t\s?t|xx|xt|tx|\*\*|__)\s?p|meow|xxxx"
_OPEN, _CLOSE = r"[\[({<]", r"[\])}>]"
#: An opening bracket that is closed after the scheme. Other brackets surround the whole URL.
_BRACKETED: Final = rf"(?:{_OPEN}(?=[a-z*\[(]{{4,8}}{_CLOSE}{{1,2}}\s?[:\[({{<]))"
_COLON: Final = rf"(?:{_OPEN}?[:\uff1a]{_CLOSE}?)"
_SLASH: Final = r"(?:\\?[/\uff0f])"
_SLASHES: Final = rf"(?:(?:{_OPEN}{_SLASH}{{1,2}}{_CLOSE}|{_SLASH}){{1,2}}|\\\\)"
_PARTED: Final = (
    rf"(?:{_OPEN}[:\uff1a]{_SLASH}{{2}}{_CLOSE}|{_OPEN}:{_SLASH}{_CLOSE}{_SLASH}"
    rf"|{_COLON}{_SLASHES}|__(?=\w))"
)
#: Scheme, colon and slashes in one pair of brackets.
_ENCLOSED: Final = rf"{_OPEN}(?:h(?:tt|xx)ps?)://{_CLOSE}"
#: The scheme and the separator before the host, with all marks; it is read as `http` or `https`.
HEAD: Final = (
    rf"(?:{_BRACKETED}?(?:{_HTTP})(?:{_OPEN}?[sx]{_CLOSE}?)?{_CLOSE}?\s?{_PARTED}|{_ENCLOSED})"
)
_HEAD: Final = re.compile(
    rf"{_BRACKETED}?(?:{_HTTP})(?P<tls>{_OPEN}?[sx]{_CLOSE}?)?{_CLOSE}?\s?{_PARTED}"
    rf"|{_OPEN}h(?:tt|xx)p(?P<enclosed_tls>s?)://{_CLOSE}",
    re.IGNORECASE,
)
#: Scheme and separator as browsers and chats write them, so not defanged.
_PLAIN_HEAD: Final = re.compile(r"https?:(?://|\\\\)", re.IGNORECASE)
_ENCODED_HEAD: Final = re.compile(r"h(?:tt|xx)ps?(?:%3a|:)%2f%2f", re.IGNORECASE)
#: Characters without width, which a reader does not see.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_ENTITY: Final = re.compile(
    r"&(?:#(?P<number>[0-9]{2,3})|#x(?P<hex>[0-9a-f]{2})|(?P<name>[a-z]{2,6}));", re.IGNORECASE
)
_NAMES: Final = (
    "amp& colon: sol/ period. lsqb[ rsqb] lpar( rpar) quest? num# equals= commat@ lt< gt> bsol\\"
)
_ENTITIES: Final = {each[:-1]: each[-1] for each in _NAMES.split()}
#: Dots, slashes and other separators in brackets; no host can contain them.
_DOT_WORD: Final = r"(?:\.|dot|punto|punkt)"
_SQUARE_DOT: Final = re.compile(
    rf" ?(?:[\[<%]{_DOT_WORD}[\]>]|\[+{_DOT_WORD}\]+|%5b{_DOT_WORD}%5d"
    rf"|\[{_DOT_WORD}[)}}>]|[({{<]{_DOT_WORD}\]"
    r"|\[+\.[\[\]]*|\]+\.[\[\]]*|\.[\[\]]+) ?",
    re.IGNORECASE,
)
_SQUARE_MARK: Final = re.compile(r"\[([/?#@:-]|at)\]", re.IGNORECASE)
#: The same marks in a path, without those that may belong to a path.
TAIL_MARK: Final = re.compile(r"\[([/?#@:])\]")
_SQUARE_WORD: Final = re.compile(r"\[([\w-]+)\](?=\.|\[\.\])")
_ESCAPED_DOT: Final = re.compile(r"\\\.")
_ADDRESS: Final = re.compile(r"(?:[^/?#\\]*@)?\[[0-9a-f:.%]*(?::[0-9a-f.%]*)+", re.IGNORECASE)
#: A separator in round or curly brackets. Read as written, the host would end in a bracket.
_ROUND_MARK: Final = r"[({][/?#][)}]"
_ROUND_TAIL_MARK: Final = re.compile(r"[({]([/?#@:])[)}]")
_END_MARK: Final = re.compile(rf"\[[/?#]\]|{_ROUND_MARK}")
_ROUND_AT: Final = re.compile(r"[({]@[)}]")
#: A host can contain this, and browsers open such a host.
_SPELT_AT: Final = re.compile(r"[({]at[)}]", re.IGNORECASE)
_END: Final = re.compile(r"[/?#]|\\(?!\.)")
#: Punctuation of the sentence around the URL; no top-level domain ends with it.
_SENTENCE: Final = ",;!\"'>"
#: Dots as defanged text writes them. No host can contain the first kind. The second kind can also
#: be part of a host.
_BRACKET_DOT: Final = re.compile(r" ?\[(?:\.|dot)\] ?", re.IGNORECASE)
_ANY_DOT: Final = re.compile(r" ?[\[({]+(?:\.|dot)[\])}]+ ?| dot ", re.IGNORECASE)
#: A dot with a bracket on one side only.
_HALF_DOT: Final = re.compile(r" ?(?:[({]+\.|\.[)}]+) ?")
_TAIL_BRACKET_DOT: Final = re.compile(r"\[(?:\.|dot)\]", re.IGNORECASE)
TAIL_DOT: Final = re.compile(r"[\[({](?:\.|dot)[\])}]", re.IGNORECASE)
_PORT: Final = re.compile(r":0*443\Z")
#: No top-level domain of the public DNS contains these, so there they mark a defanged dot.
_DOT_MARKS: Final = frozenset("(){}")


def undotted(authority: str, *, is_plain: bool) -> tuple[str, re.Pattern[str]]:
    """Return the authority with plain dots, and the pattern of defanged dots in its path.

    `(.)`, `{.}` and `(dot)` can be part of a host. They are read as dots unless the scheme is not
    defanged or other dots are in square brackets.
    Raise TwoHostsError if some dots are in square brackets and another dot has one round bracket.
    """
    text = _BRACKET_DOT.sub(".", authority)
    host = _PORT.sub("", text).removesuffix(".")
    can_be_host = " " not in host and _DOT_MARKS.isdisjoint(host.rpartition(".")[2])
    if can_be_host and (is_plain or text != authority):
        # If all dots are defanged with square brackets, `([.]` is a bracket of the host and a dot.
        if text != authority and _HALF_DOT.search(_ANY_DOT.sub("", authority)):
            raise TwoHostsError(_host(text), _host(_HALF_DOT.sub(".", text)))
        return text.replace("[:]", ":"), _TAIL_BRACKET_DOT
    text = _HALF_DOT.sub(".", _ANY_DOT.sub(".", authority))
    return text.replace("[:]", ":"), TAIL_DOT


def unmarked(text: str) -> str:
    r"""Return the text with the marks of scheme and host undone or written as `hxxp` and `[.]`.

    Raise TwoHostsError for `http://a.example\.b`, because the backslash may also begin the path.
    """
    text = _decoded(text)
    match = _HEAD.match(text)
    head, rest = (text[: match.end()], text[match.end() :]) if match else ("", text)
    is_plain = bool(_PLAIN_HEAD.fullmatch(head))
    if _ADDRESS.match(rest):
        authority, tail, is_marked = rest, "", False
    else:
        authority, tail, is_marked = _parted(
            rest, is_plain=is_plain, is_trusted=bool(match) and not is_plain
        )
    if is_marked or (match and not is_plain):
        tail = TAIL_MARK.sub(r"\1", tail)
    if match and not (is_plain and not is_marked):
        tls = "s" if match["tls"] or match["enclosed_tls"] else ""
        head = f"{'http' if is_plain else 'hxxp'}{tls}://"
    return f"{head}{authority}{tail}"


def _decoded(text: str) -> str:
    """Return the text without HTML entities or percent-encoding, if its scheme or host has them."""
    if _ENCODED_HEAD.match(text):
        from urllib.parse import unquote  # noqa: PLC0415 - importing it takes 1 ms

        return unquote(text)
    if not _HEAD.match(text) and _HEAD.match(bare := _INVISIBLE.sub("", text)):
        text = bare
    # No host in the DNS contains `&`, so `&…;` in a host is an entity. In a path it may be text.
    plain = _PLAIN_HEAD.match(text)
    front = re.split(r"[/?\\]|(?<!&)#", text[plain.end() if plain else 0 :], maxsplit=1)[0]
    return _entities(text) if _ENTITY.search(front) else text


def _entities(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        if match["name"]:
            return _ENTITIES.get(match["name"].lower(), match[0])
        code = int(match["number"] or match["hex"], 10 if match["number"] else 16)
        is_printable = 0x20 < code < 0x7F  # noqa: PLR2004 - the range of printable ASCII
        return chr(code) if is_printable else match[0]

    return _ENTITY.sub(char, text)


def _parted(rest: str, *, is_plain: bool, is_trusted: bool) -> tuple[str, str, bool]:
    """Return the authority and the rest without marks, and whether there were marks."""
    mark = _END_MARK.search(rest)
    first = _END.search(rest)
    if mark and (first is None or mark.start() < first.start()):
        at, is_marked = mark.start(), True
        tail = mark[0][1] + rest[mark.end() :]
        if mark[0][0] != "[":
            tail = _ROUND_TAIL_MARK.sub(r"\1", tail)
    else:
        at, is_marked = first.start() if first else len(rest), False
        tail = rest[at:]
    raw = rest[:at]
    authority = _SQUARE_WORD.sub(r"\1", raw)
    authority = _SQUARE_DOT.sub("[.]", authority)
    authority = _SQUARE_MARK.sub(lambda each: _meant(each[1]), authority)
    authority = authority.replace("(:)", ":")
    if _ESCAPED_DOT.search(authority):
        before = _ESCAPED_DOT.split(authority, maxsplit=1)[0]
        is_clear = is_trusted or "." not in before or "[.]" in before
        if "@" in authority or not is_clear:
            raise TwoHostsError(before.replace("[.]", "."), _host(_ESCAPED_DOT.sub(".", authority)))
        authority = _ESCAPED_DOT.sub("[.]", authority)
    if _ROUND_AT.search(authority):
        meant = _ROUND_AT.sub("@", authority)
        if not is_trusted:
            raise TwoHostsError(_host(authority), _host(meant))
        authority = meant
    if not is_plain and _SPELT_AT.search(authority):
        raise TwoHostsError(_host(authority), _host(_SPELT_AT.sub("@", authority)))
    if not tail and authority.rstrip(_SENTENCE):
        authority = authority.rstrip(_SENTENCE)
    return authority, tail, authority != raw or is_marked


def _meant(mark: str) -> str:
    return "@" if mark.lower() == "at" else mark


def _host(authority: str) -> str:
    """Return the part after the last `@`, for a message."""
    return authority.rpartition("@")[2].replace("[.]", ".")
