"""Content-Type headers with characters around or within the label of the character set."""

from tests.browser.case import Case, make_response

#: Cyrillic in KOI8-R, and other letters in every other character set.
_BODY = b"<meta charset=windows-1251><title>\xf0\xd2\xc9</title>"


def _page(name: str, kind: bytes) -> Case:
    return Case(
        name,
        {"/": make_response(_BODY, kind=b"text/html;charset=" + kind)},
        ("title", "charset"),
        quiet_s=0.1,
    )


CASES = (
    _page("semicolon", b'"koi8-r;x"'),
    _page("comma", b'"koi8-r,x"'),
    _page("inner-space", b'"koi8-r x"'),
    _page("outer-space", b'" koi8-r "'),
    _page("apostrophe", b'"koi8-r\'"'),
    _page("two-apostrophes", b"'koi8-r'"),
    _page("escaped", b'"koi8\\-r"'),
    _page("escaped-quote", b'"koi8-r\\""'),
    _page("open", b'"koi8-r'),
    _page("second-inside", b'"x;charset=koi8-r"'),
    _page("after-quote", b'"koi8-r"x'),
    _page("bare-space", b"koi8-r x"),
    _page("bare-quote", b'koi8-r"'),
)
