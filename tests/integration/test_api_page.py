"""The page for browsers: served whole from here, strict policy, nothing written as markup."""

import re
from collections.abc import Iterator

import pytest

from api.page import FOLDER
from tests.support.live_api import MemoryApi, memory_api


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


def test_the_page_may_load_only_from_here(api: MemoryApi) -> None:
    """Its policy names no other source and no inline code."""
    answer = api.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_all_that_the_page_refers_to_is_served(api: MemoryApi) -> None:
    """Every file it names is there with its type, and every file in the folder is named."""
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    named = {"index.html"}
    for source in FOLDER.iterdir():
        text = source.read_text()
        named |= set(re.findall(r"""(?:/ui/|from "\./)([a-z]+\.[a-z]+)""", text))
    assert named == {path.name for path in FOLDER.iterdir()}
    for name in named - {"index.html"}:
        answer = api.client.get(f"/ui/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(types[name.partition(".")[2]])


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_file_can_turn_text_into_markup_or_leave(path: object) -> None:
    """No sink for markup or code, no inline handler or style, no address of anybody else."""
    text = (FOLDER / str(path)).read_text()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
    assert not re.search(sinks, text)
    assert not re.search(r"""\son[a-z]+\s*=\s*["']|\sstyle\s*=\s*["']""", text)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg"}
