"""Only HTML's ASCII white space is white space: tables for meta names, styles and `data:` URLs."""

import base64

import pytest

from fetcher.content.data_url import decode_data_url
from fetcher.page.dom import read_dom
from safeurl.model.report import Page

_URL = "http://site.test/"
_LIMIT = 1000
_DATA = base64.b64encode(b"icon!").decode()
#: Characters that Python's `strip` and `split` remove, and HTML does not.
_NO_SPACES = ("\xa0", "\x0b", "\x1c", "\x85", "\u2003", "\u3000")


def _page(body: str) -> Page:
    return read_dom(f"<!doctype html><p>text</p>{body}", _URL).page


@pytest.mark.parametrize("space", [*" \t\n\f\r"])
def test_white_space_of_html_is_removed(space: str) -> None:
    """Around the name of a meta element, inside of a style, and in Base64."""
    page = _page(
        f'<meta name="{space}description{space}" content=x>'
        f'<iframe style="display:{space}none"></iframe>'
    )
    assert page.description == "x"
    assert page.iframes[0].hidden
    assert decode_data_url(f"data:image/png;base64,{_DATA[:3]}{space}{_DATA[3:]}", _LIMIT)


@pytest.mark.parametrize("space", _NO_SPACES)
def test_other_white_space_is_kept(space: str) -> None:
    """A browser reads another name, another style and malformed Base64."""
    page = _page(
        f'<meta name="{space}description" content=x><iframe style="display:{space}none"></iframe>'
    )
    assert page.description == ""
    assert not page.iframes[0].hidden
    assert decode_data_url(f"data:image/png;base64,{_DATA[:3]}{space}{_DATA[3:]}", _LIMIT) == b""


@pytest.mark.parametrize(
    ("url", "data"),
    [
        (f"data:image/png;base64,{_DATA}", b"icon!"),
        (f"DATA:;BASE64,{_DATA}", b"icon!"),
        (f"data:a/b; base64 ,{_DATA}", b"icon!"),
        (f"data:a/b;base64\xa0,{_DATA}", _DATA.encode()),
        (f"data:a/b;\tbase64,{_DATA}", b"icon!"),
        (f"data:;base64,{_DATA.rstrip('=')}", b"icon!"),
        (f"data:;base64,{_DATA}#x", b"icon!"),
        (f"data:;base64,{_DATA.replace('=', '%3D')}", b"icon!"),
        ("data:;base64,YQ=", b""),
        ("data:;base64,Y", b""),
        ("data:;base64,Y*Q", b""),
        ("data:,a%20b", b"a b"),
        ("data:a%20b", b""),
        ("http:,a", b""),
        ("data:," + "a" * _LIMIT, b""),
    ],
)
def test_data_urls(url: str, data: bytes) -> None:
    """The media type ends with the mark of Base64 or the body is percent-encoded."""
    assert decode_data_url(url, _LIMIT) == data
