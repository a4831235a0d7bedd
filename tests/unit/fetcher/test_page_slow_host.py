"""A page is read in the same way on a busy host."""

import time
from typing import Any

import pytest

from fetcher.page import read
from fetcher.page.evidence import ParsedPage
from fetcher.page.read import read_page
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess

_URL = "https://site.example/"
_PAGES = (
    (b"<title>Log in</title><p>Hello<form action=/next><input type=password name=p></form>", False),
    (b"<html xmlns='http://www.w3.org/1999/xhtml'><title>X</title><body>Hello</body></html>", True),
    (b"<title>Cut</title><a href=/a>one</a><p>text &amp; mo", False),
)


class _Slow(bytes):
    """Bytes whose reader has to wait, as on a host whose CPUs are busy."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:  # as `bytes` has it: an index or a slice
        """Wait without using the CPU."""
        time.sleep(0.3)
        return bytes.__getitem__(self, key)


@pytest.mark.parametrize(("data", "is_xml"), _PAGES)
def test_waiting_does_not_reduce_the_evidence(
    data: bytes, *, is_xml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that an idle host reads within the limit is also read on a busy host."""

    def parsed(page: bytes) -> ParsedPage:
        return read_page(page, "utf-8", _URL, 60, is_xml=is_xml)

    expected = parsed(data)
    assert not expected.page.partial
    # The limit is lower than the real one, so that the test is short; the child waits longer.
    monkeypatch.setattr(read, "_DOM_S", 0.1)
    assert parsed(_Slow(data)) == expected


def test_cpu_time_has_its_own_limit() -> None:
    """A page that needs too much CPU time is given up long before the limit of elapsed time."""

    def compute() -> bytes:
        while True:
            pass

    with pytest.raises(TaskFailedError, match="took too long"):
        run_in_subprocess(compute, 60, 1)
