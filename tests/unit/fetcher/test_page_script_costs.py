"""Hostile scripts take no more work, memory or stack than the limits allow.

Pages like these took more than their four seconds of CPU or their memory, or raised an error,
before what they do was counted. The tests read the pages in this process and measure no time.
"""

import os
import signal

import pytest

from fetcher.content.data_url import decode_data_url
from fetcher.page.dom import read_dom
from fetcher.page.navigation import is_read_whole
from fetcher.page.read import read_page
from safeurl.model.report import Page

_URL = "http://site.test/"
_LEAVE = "location = '/to'"


def _page(code: str, before: str = "") -> Page:
    return read_dom(f"<!doctype html><title>T</title>{before}<script>{code}</script>", _URL).page


@pytest.mark.parametrize(
    "code",
    [
        "'x'.padStart(262144, 'ab'.repeat(100000))",
        "s = document.createElement('script'); s.src = 'data:text/javascript,\\uD800'",
        "async " * 3_000 + "function f() {}",
        "'a'.padStart(5, '')",
    ],
)
def test_values_that_failed_are_read(code: str) -> None:
    """Fillers are not multiplied by the missing size, surrogates are bytes, `async` is no stack."""
    page = _page(f"{code}; {_LEAVE}")
    assert [lead.url for lead in page.onward] == [f"{_URL}to"]
    assert not page.scripts_cut


_LONG = "s = '\\u{1F600}'.repeat(200000);"


@pytest.mark.parametrize(
    "code",
    [
        f"{_LONG} x = 'x'.concat({'s,' * 4_000}s)",
        f"{_LONG} x = new Blob([{'s,' * 4_000}s])",
        f"{_LONG} document.write({'s,' * 4_000}s)",
        f"{_LONG} f.contentDocument.write({'s,' * 4_000}s)",
        _LONG + "s += 'a';" * 500,
        _LONG + "x = atob(s);" * 500,
        _LONG + "location = s + '1';" * 500,
        _LONG + "location = URL.createObjectURL(new Blob([s]));" * 500,
        _LONG + "b = URL.createObjectURL(new Blob([s]));" + "f.src = b;" * 500,
        "s = '/**/'.repeat(60000);" + "eval(s);" * 500,
        "".join(f"a{index} = location;" for index in range(3_000)) + "eval('1');" * 3_000,
        "s = '\\u0100'.repeat(4096);" + "".join(f"x{i} = s.split('');" for i in range(1_500)),
        "s = 'q w '.repeat(60000); a.dispatchEvent(new Event('e'));"
        + "a.addEventListener(s, () => 1);" * 500,
        "with (location) " * 5_000,
        "Object.assign(location, " * 5_000,
        "(" * 5_000 + "x => " * 5_000 + "1" + ")" * 5_000,
        "x" + ".submit.call" * 8_000,
        "[" + "=/" * 240 + "]" + ("[" + "=/" * 240 + "]") * 1_500,
    ],
)
def test_work_that_grows_with_itself_is_cut(code: str) -> None:
    """Copies, nested readings and searches over the same tokens count, and the page says so."""
    page = _page(code)
    assert (page.title, page.scripts_cut) == ("T", True)


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("x.click();" * 6_000, "<i></i>" * 1_000),
        ("x.click();" * 6_000, "<b onclick=' '>" * 60 + "<i id=x></i>"),
        (
            "".join(f"document.querySelector('b.c{i}').click();" for i in range(2_500)),
            "<i>" * 4_000,
        ),
    ],
)
def test_events_of_elements_are_counted(code: str, before: str) -> None:
    """The search for an element and the handlers of its ancestors count."""
    assert _page(code, before).scripts_cut


def test_functions_in_default_values_are_read_once() -> None:
    """The parameters of an inner function are not those of the functions around it."""
    page = _page("(a = " * 20_000 + "1" + ") => 1" * 20_000)
    assert page.title == "T"


def test_texts_of_timers_are_searched_once() -> None:
    """A long text without a call is not searched from each of its characters."""
    page = _page("function a() {}" + f"eval('{'a' * 1_020}');" * 1_500)
    assert page.title == "T"


def test_made_html_is_limited_in_size() -> None:
    """Scripts may insert many long texts; they are not all parsed."""
    code = "".join(f"b.innerHTML = {i} + '<p onload=a>'.repeat(21000);" for i in range(64))
    assert _page(code).scripts_cut


def test_the_page_remains_if_its_scripts_cannot_be_read() -> None:
    """Errors and the end of the CPU time concern the scripts alone."""

    def fail() -> None:
        raise RecursionError

    def take_all_cpu_time() -> None:
        os.kill(os.getpid(), signal.SIGXCPU)
        pytest.fail("the reading went on")

    before = signal.getsignal(signal.SIGXCPU)
    assert not is_read_whole(fail)
    assert not is_read_whole(take_all_cpu_time)
    assert is_read_whole(lambda: None)
    assert signal.getsignal(signal.SIGXCPU) is before


def test_a_text_beyond_the_memory_leaves_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child whose scripts need too much memory still returns the forms of the page."""

    def fill_memory(*_: object) -> None:
        bytearray(2 * 1024 * 1024 * 1024)

    monkeypatch.setattr("fetcher.page.script.reader.ScriptReader.read", fill_memory)
    page = read_page(b"<form action=/f><input type=password></form>", "utf-8", _URL, 300).page
    assert (len(page.forms), page.partial, page.scripts_cut) == (1, "", True)


def test_a_surrogate_in_a_data_url_is_its_bytes() -> None:
    """Half of a pair does not end the decoding."""
    assert decode_data_url("data:,\ud800a", 100) == b"\xed\xa0\x80a"
