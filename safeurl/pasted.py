"""Finds the URLs in pasted text, which may contain one or several URLs and other words.

`safeurl.url.parse` reads one URL, as a browser does. This module finds the start and the end of
each URL. The rules for each line are:

1. A URL begins with a scheme (`https:`, `hxxp[:]//`, also one that is refused later) or `www.`, at
   the start of the line or after a space, a quote, a bracket or a separator (`,` `;` `|`, also of
   full width). A separator in a query or a fragment, without a space, does not end a URL, because
   URLs of redirects contain other URLs there.
2. A line is one URL with spaces in its path if it begins with a URL that has a path and no other
   URL begins in it. Browsers read it so. `example.com/a b` is one URL too. The line is several URLs
   if each word after a space or a `|` is a defanged URL or a host name that is not a file name.
3. In other lines a URL ends at a space, or at the mark that closes the quote or bracket before it.
   A dot that is defanged with spaces (`a [.] b`) does not count as a space. A space before an `@`
   does not end a URL, because browsers read the text after the `@` as the host.
4. The remaining words are URLs without a scheme if they are defanged (`a[.]b`), if all of them are
   host names or addresses, or if they look like these and the line contains no other URL.
5. A line without any URL is returned unchanged, as if it were one: `parse` then names its fault.

No text is lost: words that are not URLs are returned as left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from safeurl.refang import HEAD
from safeurl.url import NAMED_SCHEMES


@dataclass(frozen=True, slots=True)
class Pasted:
    """The URLs and the other words of a text."""

    #: The URLs in the order of the text, each once; not parsed yet.
    urls: tuple[str, ...]
    #: The words that are not URLs.
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line: a URL, or a word that is outside all URLs."""

    text: str
    is_url: bool


_LINES: Final = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_NAMED: Final = "|".join(sorted(map(re.escape, NAMED_SCHEMES), key=len, reverse=True))
_DOT: Final = r"(?:[\[({](?:\.|dot)[\])}]|[\[<](?:punto|punkt|dot|\.)[\]>]|\[\.|\.\])"
#: The pattern of scheme and separator, without the spaces that they may contain.
_HEAD: Final = HEAD.replace(r"\s?", "")
_START: Final = re.compile(
    rf"""(?<![^\s<>"'`(\[{{,;|\uff0c\u3001\uff1b\uff5c\u201c\u2018\xab])(?:
        [a-z][a-z0-9+.*-]*(?:(?::|\[:\])(?://|\\\\)|\[://\])
        | {_HEAD}(?=[^\s<>])
        | (?:h(?:tt|xx|xt|tx|\*\*)ps?|{_NAMED})(?::|\[:\])(?=[^\s:])
        | www(?:\.|{_DOT})(?=[^\s.])
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_SCHEME: Final = re.compile(rf"{_HEAD}|[a-z][a-z0-9+.*-]*(?::|\[:\]|\[://\])[/\\]*", re.IGNORECASE)
#: A line whose scheme may contain a space, and whose rest contains none.
_SPLIT_HEAD: Final = re.compile(rf"{HEAD}\S+\Z", re.IGNORECASE)
_SPACED_DOT: Final = re.compile(rf" ?{_DOT} ?", re.IGNORECASE)
_SPELT_DOT: Final = re.compile(r"(?<=\w) dot (?=\w)", re.IGNORECASE)
_DEFANGED: Final = re.compile(rf"\w(?:{_DOT}|\\\.)\w", re.IGNORECASE)
_SEPARATORS: Final = ",;|\uff0c\u3001\uff1b\uff5c"
_BETWEEN: Final = re.compile(rf"[\s{_SEPARATORS}]+")
_LIST: Final = re.compile(rf"\s*[{_SEPARATORS}]\s*")
#: The characters that may separate a URL from the next word.
_BEHIND: Final = re.compile(r"[\s|]")
_CLOSERS: Final = {
    "<": ">",
    '"': '"',
    "'": "'",
    "`": "`",
    "(": ")",
    "[": "]",
    "{": "}",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "\xab": "\xbb",
}
#: Quotes whose opening and closing marks are equal, and which a URL may contain.
_QUOTES: Final = frozenset("'`")
_OPENING: Final = "".join(_CLOSERS)
_CLOSING: Final = "".join(_CLOSERS.values())
_POINTS: Final = ".,;:!?|\uff0c\u3001\uff1b\uff5c\u3002"
#: A host name with a top-level domain, or an IPv4 address; then port, path, query or fragment.
_BARE: Final = re.compile(
    r"(?:(?:[^\W_](?:[\w-]*\w)?\.)+(?:[^\W\d_]{2,}|xn--[a-z0-9-]+)|[0-9]{1,3}(?:\.[0-9]{1,3}){3})"
    r"\.?(?::[0-9]{1,5})?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
#: The endings of file names. In a path with spaces, a word with such an ending is a file name, even
#: if the ending is also a top-level domain.
_FILE: Final = re.compile(
    r"\.(?:7z|apk|aspx?|avi|cgi|css|csv|dmg|docx?|eml|epub|exe|gif|gz|html?|ico|iso|jar|jpe?g|js|json"
    r"|jspx?|md|mov|mp[34]|msi|od[pst]|pdf|php|png|pptx?|rar|rtf|svg|tar|tgz|tiff?|txt|webm|webp"
    r"|xhtml|xlsx?|xml|ya?ml|zip)\Z",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"[/?#\\]")
_SPACE: Final = re.compile(r"\s")


def find_urls(text: str) -> Pasted:
    """Return the URLs and the other words of a pasted text."""
    urls: dict[str, None] = {}
    left_out: list[str] = []
    for line in _LINES.split(text):
        if line.strip():
            found = _in_line(line.strip())
            urls |= dict.fromkeys(found.urls)
            left_out += found.left_out
    return Pasted(tuple(urls), tuple(left_out))


def _in_line(line: str) -> Pasted:
    starts = _starts(line)
    if _is_one(line, starts):
        return Pasted((line,))
    pieces = _pieces(line) if starts else [_Piece(word, is_url=False) for word in _words(line)]
    words = [piece.text for piece in pieces if not piece.is_url]
    are_all_hosts = all(map(_is_bare, words))
    urls: list[str] = []
    left_out: list[str] = []
    for piece in pieces:
        is_host = are_all_hosts or (not starts and _is_bare(piece.text))
        is_url = piece.is_url or is_host or _DEFANGED.search(piece.text)
        (urls if is_url else left_out).append(piece.text)
    return Pasted(tuple(urls), tuple(left_out)) if urls else Pasted((line,))


def _starts(line: str) -> list[int]:
    """Return the positions at which URLs begin in the line."""
    starts: list[int] = []
    # Each part of the line is searched only once.
    seen, has_space, has_query, is_closed = 0, False, False, False
    for match in _START.finditer(line):
        at = match.start()
        between, seen = line[seen:at], at
        has_space = has_space or bool(_SPACE.search(between))
        has_query = has_query or "?" in between or "#" in between
        quote = line[starts[-1] - 1] if starts and starts[-1] else ""
        is_closed = is_closed or (quote in _QUOTES and quote in between)
        is_beyond = not starts or has_space or is_closed
        if is_beyond or not _is_inside(line[at - 1], has_query=has_query):
            starts.append(at)
            has_space = has_query = is_closed = False
    return starts


def _is_inside(before: str, *, has_query: bool) -> bool:
    """Return whether a URL that begins after this character is a part of the URL before it."""
    return has_query if before in _SEPARATORS else before in "([{'`"


def _is_one(line: str, starts: list[int]) -> bool:
    """Return whether the line is one URL, which may have spaces in its path."""
    glued = _SPELT_DOT.sub("[.]", _SPACED_DOT.sub("[.]", line))
    if len(starts) <= 1 and _SPACE.search(line) and _SPLIT_HEAD.match(line):
        return True
    if len(starts) > 1 or (starts and starts[0] > 0):
        return False
    if starts:
        scheme = _SCHEME.match(glued)
        rest = glued[scheme.end() :] if scheme else glued
        return _has_path_before_space(rest) and not _has_hosts_behind(rest)
    words = [word for word in glued.split() if word]
    if len(words) == 1 and len(_LIST.split(glued)) == 1:
        return True
    is_path = _has_path_before_space(glued) and not _has_hosts_behind(glued)
    return _is_bare(words[0]) and is_path and not _is_list(glued)


def _has_hosts_behind(text: str) -> bool:
    """Return whether at least one word follows the first URL and all such words are URLs."""
    end = _BEHIND.search(text)
    words = list(_words(text[end.start() :])) if end else []
    return bool(words) and all(map(_is_host, words))


def _is_host(word: str) -> bool:
    """Return whether a word is more probably a host than a part of a path."""
    if _DEFANGED.search(word):
        return True
    return _is_bare(word) and not _FILE.search(_PATH.split(word, maxsplit=1)[0])


def _has_path_before_space(text: str) -> bool:
    path, space = _PATH.search(text), _SPACE.search(text)
    return space is None or (path is not None and path.start() < space.start())


def _is_list(line: str) -> bool:
    """Return whether the line is a list of hosts, with or without paths, between separators."""
    parts = [part for part in _LIST.split(line) if part]
    return len(parts) > 1 and all(map(_is_bare, parts))


def _pieces(line: str) -> list[_Piece]:
    """Return the URLs that begin in the line and the words outside them, in their order."""
    line = _SPACED_DOT.sub("[.]", line)
    # The list of starts can be empty: the only start may have followed a dot with spaces.
    ends = [*_starts(line), len(line)]
    pieces = [_Piece(word, is_url=False) for word in _words(line[: ends[0]])]
    for start, end in pairwise(ends):
        size = _length(line[start:end], line[start - 1] if start else "")
        pieces.append(_Piece(_trimmed(line[start : start + size]), is_url=True))
        pieces += [_Piece(word, is_url=False) for word in _words(line[start + size : end])]
    return pieces


def _length(text: str, opener: str) -> int:
    """Return the length of the URL at the start of the text."""
    closer, depth = _CLOSERS.get(opener, ""), 0
    for at, char in enumerate(text):
        if closer and char == closer and depth == 0:
            return at
        depth += (char == opener != closer) - (char == closer != opener)
    scheme = _SCHEME.match(text)
    begin = scheme.end() if scheme else 0
    path = _PATH.search(text, begin)
    # Text before an `@` belongs to the URL, also with spaces; `parse` refuses such a URL.
    at_sign = text.rfind("@", begin, path.start() if path else len(text))
    space = _SPACE.search(text, max(at_sign, 0))
    end = space.start() if space else len(text)
    bar = text.find("|", begin, end)
    # A `|` may belong to a path or query. It ends the URL only if URLs follow.
    return bar if bar >= 0 and _has_hosts_behind(text[begin:]) else end


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text without the brackets and punctuation around them."""
    glued = _SPELT_DOT.sub("[.]", _SPACED_DOT.sub("[.]", text))
    for word in _BETWEEN.split(glued):
        bare = _trimmed(word.lstrip(_OPENING + _POINTS))
        if bare.strip(_CLOSING):
            yield bare


def _trimmed(text: str) -> str:
    """Return the text without the punctuation of the sentence at its end."""
    end = len(text)
    counts = {char: text.count(char) for char in "([{)]}"}
    while end:
        last = text[end - 1]
        opener = next((each for each in "([{" if _CLOSERS[each] == last), "")
        is_balanced = bool(opener) and counts[opener] >= counts[last]
        if is_balanced or last not in _POINTS + _OPENING + _CLOSING:
            break
        if last in counts:
            counts[last] -= 1
        end -= 1
    return text[:end]


def _is_bare(word: str) -> bool:
    return bool(_BARE.fullmatch(_SPACED_DOT.sub(".", word)))
