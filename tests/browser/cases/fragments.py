"""Which fragment is left after a redirect."""

from tests.browser.case import LOGIN, Case, answer, redirect

_COMPARE = ("url", "title", "requests")


def _to(name: str, location: bytes, start: str = "/dir/page") -> Case:
    return Case(name, {start.partition("#")[0]: redirect(location), "*": answer(LOGIN)},
                _COMPARE, start)  # fmt: skip


CASES = (
    _to("survives", b"/a", "/dir/page#me"),
    _to("replaced", b"/a#other", "/dir/page#me"),
    _to("emptied", b"/a#", "/dir/page#me"),
    _to("gained", b"/a#other"),
)
