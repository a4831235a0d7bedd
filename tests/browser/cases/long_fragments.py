"""Redirects whose fragment is longer than the longest URL that a report holds."""

from tests.browser.case import LOGIN, Case, make_response, redirect

#: Without the URL: the fetcher keeps the beginning of such a fragment only.
_COMPARE = ("title", "requests")


def _to(name: str, location: bytes, start: str = "/") -> Case:
    return Case(
        name, {"/": redirect(location), "*": make_response(LOGIN)}, _COMPARE, start, quiet_s=0.2
    )


def _refresh(name: str, content: str) -> Case:
    page = f"<meta http-equiv=refresh content='{content}'>"
    return Case(name, {"/": make_response(page), "*": make_response(LOGIN)}, _COMPARE, quiet_s=0.2)


CASES = (
    _to("8,300 bytes", b"/a#" + b"x" * 8300),
    _to("70,000 bytes", b"/a#" + b"x" * 70_000),
    _to("percents", b"/a?q#" + b"%41" * 3000),
    _to("beyond ASCII", b"/a#" + "\u00e9".encode() * 4200),
    _to("two signs", b"/a#" + b"x#" * 4200),
    _to("of a long URL", b"/a?" + b"y" * 8000 + b"#" + b"x" * 8300),
    _refresh("refresh, 8,300 bytes", "0;url=/a#" + "x" * 8300),
    _refresh("refresh, 70,000 bytes", "0;url=/a#" + "x" * 70_000),
)
