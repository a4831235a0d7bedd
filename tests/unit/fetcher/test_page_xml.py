"""XML documents are read as pages, whatever they contain."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.page.evidence import ParsedPage
from fetcher.page.read import read_page
from fetcher.page.xml import read_xml

_URL = "http://site.test/dir/page"
_SVG = "xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'"
#: Nine nested entities with ten references each.
_TENFOLD = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 10))
_BOMB = f"<!DOCTYPE x [<!ENTITY a0 'bomb'>{_TENFOLD}]>"
_PARTS = (
    *(
        f"<svg {_SVG}>",
        "<html xmlns='http://www.w3.org/1999/xhtml'>",
        "<form action='x'>",
        "</form>",
    ),
    *(
        "<input type='password'/>",
        "</svg>",
        "</html>",
        "<title>",
        "</title>",
        "<?xml version='1.0'?>",
    ),
    *("<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", "&#0;", "]]>", "<![CDATA[", "\x00", "\ud800", " x"),
    *(
        "<a xlink:href='//'/>",
        "<?xml-stylesheet type='text/xsl' href='x'?>",
        "<base href='http://['/>",
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_PARTS) | st.text(max_size=8), max_size=30).map("".join))
def test_any_xml_is_read(text: str) -> None:
    """The evidence is valid for a worker."""
    parsed = read_xml(text, _URL)
    assert msgspec.json.decode(msgspec.json.encode(parsed), type=ParsedPage) == parsed


def test_a_drawing_has_links_scripts_and_forms() -> None:
    """Through the child process, with entities as drawing programs write them."""
    data = (
        "<!DOCTYPE svg [<!ENTITY ns 'http://www.w3.org/2000/svg'>]>"
        "<svg xmlns='&ns;' xmlns:xlink='http://www.w3.org/1999/xlink'><title>Invoice</title>"
        "<a xlink:href='go'><text>Open</text></a><script>location = 'x'</script>"
        "<script href='s.js'/></svg>"
    )
    page = read_page(data.encode(), "utf-8", _URL, 10, is_xml=True).page
    assert (page.title, page.partial) == ("Invoice", "")
    assert [(link.url, link.text) for link in page.links] == [("http://site.test/dir/go", "Open")]
    assert [script.url for script in page.scripts] == ["", "http://site.test/dir/s.js"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<x><y></x>", "not well-formed"),
        ("<x/><y/>", "not well-formed"),
        ("<?xml-stylesheet type='text/xsl' href='a.xsl'?><x/>", "XSLT"),
        (_BOMB + "<x>&a9;</x>", "amplification"),
        (_BOMB + "<x y='&a9;'/>", "amplification"),
        (_BOMB.replace("'bomb'", "''") + "<x>&a9;</x>", "amplification"),
        ("<!DOCTYPE x [<!ENTITY a '" + "b" * 9000 + "'>]><x>" + "&a;" * 900 + "</x>", "expands"),
        ("<!DOCTYPE x [<!ATTLIST y a CDATA '" + "b" * 90000 + "'>]><x>" + "<y/>" * 99, "expands"),
        ("<x>" * 6000, "nested"),
    ],
)
def test_parts_that_were_not_read_are_named(text: str, words: str) -> None:
    """Errors, style sheets and entity bombs are named in `partial`."""
    assert words in read_xml(text, _URL).page.partial


def test_the_page_before_an_error_is_kept() -> None:
    """Chromium shows the part before the error above its message."""
    html = "<html xmlns='http://www.w3.org/1999/xhtml'><title>Log in</title><p>x</html>"
    page = read_xml(html, _URL).page
    assert page.title == "Log in"
    assert "not well-formed" in page.partial


def test_an_external_entity_is_not_loaded() -> None:
    """Neither a file is opened nor a request sent."""
    text = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;left</x>"
    assert read_xml(text, _URL).page.text == "left"
