"""Finding the URLs in text that somebody pastes: one or several, with or without words around.

`safeurl.url.parse` reads one URL, as a browser does; this says where one ends and the next begins.
Line by line:

1. A URL begins with a scheme (`https:`, `hxxp[:]//`, also one that is refused later) or `www.`, at
   the line's start or after a space, a quote, a bracket or a separator (`,` `;` `|`, also of full
   width). Without a space a separator in a query or a fragment ends nothing: redirects carry URLs
   in theirs.
2. A line that begins with a URL that has a path, and holds no other beginning, is one URL with
   spaces in its path: so browsers read it. `example.com/a b` is one, too. It is several where all
   that follows a space or a `|` are defanged URLs or host names that are no names of files.
3. Else a URL ends at a space, or at what closes the quote or bracket before it. A dot that is
   defanged with spaces (`a [.] b`) is no space, and a space before an `@` ends no URL: browsers
   take what follows the `@` for the host.
4. Words that are left over are URLs without a scheme where they are defanged (`a[.]b`), where all
   of them are host names or addresses, or where they look so and the line holds no other URL.
5. A line in which nothing is found is given back whole: parsing it says what is wrong.

Nothing is lost: what is no URL is given back as left out.
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
    """What was found in a text."""

    #: In their order, each once; not parsed yet.
    urls: tuple[str, ...]
    #: The words between them.
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line: from the beginning of a URL to its end, or a word beside."""

    text: str
    is_url: bool


_LINES: Final = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_NAMED: Final = "|".join(sorted(map(re.escape, NAMED_SCHEMES), key=len, reverse=True))
_DOT: Final = r"(?:[\[({](?:\.|dot)[\])}]|[\[<](?:punto|punkt|dot|\.)[\]>]|\[\.|\.\])"
#: Of a URL's head only what is not a plain one's, and has no space of the line in it.
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
#: A line that begins with a scheme that was parted by a space, and goes on without one.
_SPLIT_HEAD: Final = re.compile(rf"{HEAD}\S+\Z", re.IGNORECASE)
_SPACED_DOT: Final = re.compile(rf" ?{_DOT} ?", re.IGNORECASE)
_SPELT_DOT: Final = re.compile(r"(?<=\w) dot (?=\w)", re.IGNORECASE)
_DEFANGED: Final = re.compile(rf"\w(?:{_DOT}|\\\.)\w", re.IGNORECASE)
_SEPARATORS: Final = ",;|\uff0c\u3001\uff1b\uff5c"
_BETWEEN: Final = re.compile(rf"[\s{_SEPARATORS}]+")
_LIST: Final = re.compile(rf"\s*[{_SEPARATORS}]\s*")
#: What parts a URL from what is not its path.
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
#: Those that open and close alike, and can be in a URL.
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
#: A name that ends so is a file's in a path with spaces, though some are top-level domains too.
_FILE: Final = re.compile(
    r"\.(?:7z|apk|aspx?|avi|cgi|css|csv|dmg|docx?|eml|epub|exe|gif|gz|html?|ico|iso|jar|jpe?g|js|json"
    r"|jspx?|md|mov|mp[34]|msi|od[pst]|pdf|php|png|pptx?|rar|rtf|svg|tar|tgz|tiff?|txt|webm|webp"
    r"|xhtml|xlsx?|xml|ya?ml|zip)\Z",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"[/?#\\]")
_SPACE: Final = re.compile(r"\s")


def find_urls(text: str) -> Pasted:
    """Return the URLs that somebody means with a text, and what else it holds."""
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
    """Return where in the line URLs begin."""
    starts: list[int] = []
    # What stands between the last beginning and the next is looked at once, however many there are.
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
    """Tell whether a URL goes on after this character of it, though another one seems to begin."""
    return has_query if before in _SEPARATORS else before in "([{'`"


def _is_one(line: str, starts: list[int]) -> bool:
    """Tell whether the whole line is one URL, with the spaces in its path."""
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
    """Tell whether nothing but URLs follows the one that the text begins with."""
    end = _BEHIND.search(text)
    words = list(_words(text[end.start() :])) if end else []
    return bool(words) and all(map(_is_host, words))


def _is_host(word: str) -> bool:
    """Tell whether a word in a line is rather a host than a part of a path."""
    if _DEFANGED.search(word):
        return True
    return _is_bare(word) and not _FILE.search(_PATH.split(word, maxsplit=1)[0])


def _has_path_before_space(text: str) -> bool:
    path, space = _PATH.search(text), _SPACE.search(text)
    return space is None or (path is not None and path.start() < space.start())


def _is_list(line: str) -> bool:
    """Tell whether commas and the like part nothing but hosts, with or without paths."""
    parts = [part for part in _LIST.split(line) if part]
    return len(parts) > 1 and all(map(_is_bare, parts))


def _pieces(line: str) -> list[_Piece]:
    """Cut a line into the URLs that begin in it and the words beside them."""
    line = _SPACED_DOT.sub("[.]", line)
    # None is left where the only beginning stood behind such a dot.
    ends = [*_starts(line), len(line)]
    pieces = [_Piece(word, is_url=False) for word in _words(line[: ends[0]])]
    for start, end in pairwise(ends):
        size = _length(line[start:end], line[start - 1] if start else "")
        pieces.append(_Piece(_trimmed(line[start : start + size]), is_url=True))
        pieces += [_Piece(word, is_url=False) for word in _words(line[start + size : end])]
    return pieces


def _length(text: str, opener: str) -> int:
    """Return where the URL ends that this text begins with."""
    closer, depth = _CLOSERS.get(opener, ""), 0
    for at, char in enumerate(text):
        if closer and char == closer and depth == 0:
            return at
        depth += (char == opener != closer) - (char == closer != opener)
    scheme = _SCHEME.match(text)
    begin = scheme.end() if scheme else 0
    path = _PATH.search(text, begin)
    # What stands before an `@` belongs to the URL, spaces included; it is refused for them later.
    at_sign = text.rfind("@", begin, path.start() if path else len(text))
    space = _SPACE.search(text, max(at_sign, 0))
    end = space.start() if space else len(text)
    bar = text.find("|", begin, end)
    # A `|` can stand in a path or query; what is behind it tells.
    return bar if bar >= 0 and _has_hosts_behind(text[begin:]) else end


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text without what surrounds them."""
    glued = _SPELT_DOT.sub("[.]", _SPACED_DOT.sub("[.]", text))
    for word in _BETWEEN.split(glued):
        bare = _trimmed(word.lstrip(_OPENING + _POINTS))
        if bare.strip(_CLOSING):
            yield bare


def _trimmed(text: str) -> str:
    """Return text without the punctuation of the sentence around it."""
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
