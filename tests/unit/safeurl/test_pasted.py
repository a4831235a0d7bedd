"""The start and the end of URLs in a text: a table of pasted texts."""

from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.errors import UrlRefusedError
from safeurl.pasted import _starts, find_urls
from safeurl.url import parse
from tests.support.vectors import CONFUSIONS

_A, _B = "https://a.example/x", "http://b.example"

#: The text, the URLs in it, and what is left out.
_TEXTS = [
    # One URL, as `parse` has always read it.
    (_A, [_A], []),
    ("example.com", ["example.com"], []),
    ("hxxps://a[.]example/x", ["hxxps://a[.]example/x"], []),
    ("hxxp[:]//a(dot)example", ["hxxp[:]//a(dot)example"], []),
    ("hxxp://a [.] example/x", ["hxxp://a [.] example/x"], []),
    ("example dot com", ["example dot com"], []),
    ("http://a.example/my file.pdf", ["http://a.example/my file.pdf"], []),
    ("http://a.example/my file b.example", ["http://a.example/my file b.example"], []),
    ("a.example/my file", ["a.example/my file"], []),
    ("www.a.example/my file", ["www.a.example/my file"], []),
    ("http://a.example/x,y;z", ["http://a.example/x,y;z"], []),
    ("http://a.example,b.example/", ["http://a.example,b.example/"], []),
    ("http://a.example/go?u=http://b.example", ["http://a.example/go?u=http://b.example"], []),
    ("http://a.example/?u=1,http://b.example", ["http://a.example/?u=1,http://b.example"], []),
    ("http://a.example/#x;http://b.example", ["http://a.example/#x;http://b.example"], []),
    ("http://a.example/http://b.example", ["http://a.example/http://b.example"], []),
    ("http://a.example/x(http://b.example)", ["http://a.example/x(http://b.example)"], []),
    # Several.
    (f"{_A} {_B}", [_A, _B], []),
    (f"{_A}\n{_B}", [_A, _B], []),
    (f"{_A}\r\n\r\n  {_B}\r\n", [_A, _B], []),
    (f"{_A}\u2028{_B}", [_A, _B], []),
    (f"{_A}, {_B}", [_A, _B], []),
    (f"{_A},{_B}", [_A, _B], []),
    (f"{_A};{_B}", [_A, _B], []),
    (f"{_A}|{_B}", [_A, _B], []),
    (f"{_A}\t{_B}", [_A, _B], []),
    (f"{_A} and {_B}.", [_A, _B], ["and"]),
    (f"<{_A}> <{_B}>", [_A, _B], []),
    (f'"{_A}","{_B}"', [_A, _B], []),
    (f"{_A} {_A}", [_A], []),
    (f"{_A} ftp://c.example/x", [_A, "ftp://c.example/x"], []),
    (f"javascript:alert(1) {_A}", ["javascript:alert(1)", _A], []),
    ("a.example b.example", ["a.example", "b.example"], []),
    ("a.example,b.example", ["a.example", "b.example"], []),
    ("a.example, b.example:8080/x", ["a.example", "b.example:8080/x"], []),
    ("a.example/x, b.example/y", ["a.example/x", "b.example/y"], []),
    ("a.example 8.8.8.8", ["a.example", "8.8.8.8"], []),
    ("http://a.example b.example", ["http://a.example", "b.example"], []),
    ("a.example http://b.example", ["a.example", "http://b.example"], []),
    ("www.a.example www.b.example/x", ["www.a.example", "www.b.example/x"], []),
    (
        "hxxp://a[.]example hxxps://b[.]example/x",
        ["hxxp://a[.]example", "hxxps://b[.]example/x"],
        [],
    ),
    ("a[.]example b[.]example", ["a[.]example", "b[.]example"], []),
    ("hxxp://a [.] example hxxp://b[.]example", ["hxxp://a[.]example", "hxxp://b[.]example"], []),
    # Hosts behind a URL with a path.
    (f"{_A} evil.example", [_A, "evil.example"], []),
    (f"{_A} b[.]example c.example/y", [_A, "b[.]example", "c.example/y"], []),
    (f"{_A}, evil.example", [_A, "evil.example"], []),
    (f"{_A} | evil.example:8080", [_A, "evil.example:8080"], []),
    (f"{_A}|evil.example", [_A, "evil.example"], []),
    (f"{_A}\tevil.example/y", [_A, "evil.example/y"], []),
    ("http://a.example|b.example", ["http://a.example", "b.example"], []),
    ("a.example/x evil.example", ["a.example/x", "evil.example"], []),
    ("a.example/x b\\.example", ["a.example/x", "b\\.example"], []),
    (f"{_A}|y", [f"{_A}|y"], []),
    (f"{_A}|y http://b.example", [f"{_A}|y", "http://b.example"], []),
    (f"{_A} report.docx", [f"{_A} report.docx"], []),
    (f"{_A},report.example", [f"{_A},report.example"], []),
    # Other separators and quotes.
    (f"{_A}\uff0c{_B}\u3001http://c.example", [_A, _B, "http://c.example"], []),
    (f"{_A}\uff1b{_B}\uff5chttp://c.example", [_A, _B, "http://c.example"], []),
    (f"'{_A}','{_B}'", [_A, _B], []),
    (f"`{_A}`;`{_B}`", [_A, _B], []),
    (f"{_A}\xa0{_B}", [_A, _B], []),
    # With words around.
    ("hxxp://a[.]b c", ["hxxp://a[.]b"], ["c"]),
    (f"Please look at {_A}, thanks!", [_A], ["Please", "look", "at", "thanks"]),
    (f"see: {_A} (and read.me)", [_A], ["see", "and", "read.me"]),
    (f"[the bank]({_A}).", [_A], ["the", "bank"]),
    ("(http://a.example/x_(y))", ["http://a.example/x_(y)"], []),
    ("<http://a.example/my file> says", ["http://a.example/my file"], ["says"]),
    ("From: bob@example.com http://a.example", ["http://a.example"], ["From", "bob@example.com"]),
    ("check evil[.]example please", ["evil[.]example"], ["check", "please"]),
    ("check evil.example please", ["evil.example"], ["check", "please"]),
    ("http://1.1.1.1 &@2.2.2.2/ x", ["http://1.1.1.1 &@2.2.2.2/"], ["x"]),
    # None: returned unchanged, so that parsing it names its fault.
    ("two words", ["two words"], []),
    ("see mail [.] www.a.example now", ["mail[.]www.a.example"], ["see", "now"]),
    (" [.] www.#", ["[.] www.#"], []),
    ("bob@example.com", ["bob@example.com"], []),
    ("localhost", ["localhost"], []),
    ("\ud800", ["\ud800"], []),
    ("", [], []),
    (" \n ", [], []),
]


@pytest.mark.parametrize(("text", "urls", "left_out"), _TEXTS)
def test_urls_are_found_in_what_people_paste(
    text: str, urls: list[str], left_out: list[str]
) -> None:
    """There are separators, surrounding marks and defanged forms; the other words are returned."""
    found = find_urls(text)
    assert list(found.urls) == urls
    assert list(found.left_out) == left_out


def _reads(text: str) -> str | None:
    try:
        return parse(text).url
    except UrlRefusedError:
        return None


@pytest.mark.parametrize("text", [text for text in CONFUSIONS if "@" in text], ids=ascii)
def test_what_names_two_hosts_does_not_pass_in_pieces(text: str) -> None:
    """If it were cut at a space, a URL that browsers take to another host could look harmless."""
    if _reads(text) is None:
        assert [url for url in find_urls(text).urls if _reads(url)] == []


#: Characters, and what a line is cut at.
_PARTS = [
    *" \n,;|<>\"'()[].:/?#ahtpxw@\u202e",
    "http://",
    "hxxp[:]//",
    "www.",
    "a.b",
    " [.] ",
]


@given(st.lists(st.sampled_from(_PARTS), max_size=40).map("".join))
def test_nothing_is_lost(text: str) -> None:
    """All letters of a text are in a URL or are left out, with any separators."""
    found = find_urls(text)
    kept = set("".join((*found.urls, *found.left_out)))
    assert {char for char in text if char.isalnum()} <= kept
    assert all(url.strip() for url in found.urls)


class _Counted(str):
    """A text that counts the characters that are copied out of it."""

    __slots__ = ("copied",)

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        """Copy a part."""
        part = super().__getitem__(key)
        self.copied = getattr(self, "copied", 0) + len(part)
        return part


@pytest.mark.parametrize("part", ["www.a(", "http://a?,", "'www.b", "'http://b'", "http://a.b/ "])
def test_a_long_line_is_read_once(part: str) -> None:
    """However many URLs seem to begin in it: the API reads such lines for anybody."""
    line = _Counted(part * 4_000)
    _starts(line)
    assert line.copied <= 2 * len(line)
