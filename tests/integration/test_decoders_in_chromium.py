"""Labels and tables of the character sets, byte by byte, against Chromium's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from webencodings.labels import LABELS

from fetcher.content.charset import decode_text
from fetcher.content.meta_charset import find_encoding
from tests.support.browser import Browser

_SINGLE = sorted(
    {name for name in LABELS.values() if name.startswith(("windows", "iso-8859", "koi8", "ibm"))}
    | {"macintosh", "x-mac-cyrillic", "x-user-defined"}
)
#: Rare ideographs and a few signs, for which Python's table of Big5 is older than the standard's.
_OLD_BIG5 = 209

_NAMES = """%s.map(label => {
  try { return new TextDecoder(label).encoding } catch { return null }
})"""
_TEXTS = (
    """[...Array(256).keys()].map(byte => new TextDecoder("%s").decode(new Uint8Array([byte])))"""
)
#: After each pair there is a letter, which must not be lost.
_PAIRS = """[...Array(128).keys()].map(lead => [...Array(224).keys()].map(trail =>
  new TextDecoder("%s").decode(new Uint8Array([lead + 128, trail + 32, 65]))))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium."""
    opened = Browser(Path(tmp_path_factory.mktemp("chromium")))
    yield opened
    opened.close()


def test_labels_mean_what_they_mean_to_chromium(browser: Browser) -> None:
    """A script may not decode labels that the standard replaces, so it is not asked about them."""
    labels = sorted(LABELS)
    ours = [find_encoding(label) for label in labels]
    expected = [None if name == "replacement" else name for name in ours]
    assert browser.run(_NAMES % json.dumps(labels)) == expected


@pytest.mark.parametrize("name", _SINGLE)
def test_each_byte_means_what_it_means_to_chromium(name: str, browser: Browser) -> None:
    """In the sets of one byte a character."""
    expected = browser.run(_TEXTS % name)
    assert [decode_text(bytes((byte,)), name) for byte in range(256)] == expected


@pytest.mark.parametrize("name", ["gbk", "gb18030", "euc-kr", "euc-jp", "shift_jis"])
def test_each_pair_means_what_it_means_to_chromium(name: str, browser: Browser) -> None:
    """Also an invalid pair: a quote or a bracket after it is not removed with it."""
    assert _differing(name, browser) == []


def test_the_pairs_of_big5_that_python_does_not_know_are_no_others(browser: Browser) -> None:
    """They are other characters, and the character after them is not removed."""
    differing = _differing("big5", browser)
    assert len(differing) == _OLD_BIG5
    assert all(ours.endswith("A") or len(ours) == len(text) for text, ours in differing)


def _differing(name: str, browser: Browser) -> list[tuple[str, str]]:
    """Return Chromium's text and ours for each pair that is read differently."""
    return [
        (text, ours)
        for lead, row in enumerate(browser.run(_PAIRS % name), start=128)
        for trail, text in enumerate(row, start=32)
        if (ours := decode_text(bytes((lead, trail, 65)), name)) != text
    ]
