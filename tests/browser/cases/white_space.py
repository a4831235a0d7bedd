"""White space in attributes that HTML does not count as such, and what URL parsers remove."""

from tests.browser.case import OTHER, Case, make_response


def _case(name: str, body: str) -> Case:
    page = "<!doctype html><title>first</title><body><p>One moment</p>" + body
    return Case(
        name, {"/": make_response(page), "*": make_response(OTHER)}, ("onward",), quiet_s=0.2
    )


def _form(name: str, action: str) -> Case:
    form = f"<form id=f method=get action='{action}'></form><script>f.submit()</script>"
    return _case(f"action, {name}", form)


def _typed(name: str, kind: str) -> Case:
    return _case(f"type, {name}", f"<script type='{kind}'>location = '/to'</script>")


CASES = (
    _form("spaces", " \t/to\f"),
    _form("no-break space", "\xa0/to"),
    _form("no-break space alone", "\xa0"),
    _form("next line", "/to\x85"),
    _form("file separator", "\x1c/to"),
    _form("line break inside", "/t\no"),
    _typed("spaces", " text/javascript\t"),
    _typed("no-break space", "text/javascript\xa0"),
    _typed("file separator", "\x1ctext/javascript"),
    _typed("vertical tab", "text/javascript\x0b"),
    _case(
        "frame, line break in the scheme",
        "<iframe src='java\nscript:top.location=\"/to\"'></iframe>",
    ),
    _case(
        "frame, control before it", "<iframe src='\x01javascript:top.location=\"/to\"'></iframe>"
    ),
    _case("frame, no-break space", "<iframe src='\xa0javascript:top.location=\"/to\"'></iframe>"),
    _case("frame, percents", "<iframe src='javascript:top.location%3D\"/to\"'></iframe>"),
    _case(
        "script, tab in the scheme", "<script>location = 'java\\tscript:location=\"/to\"'</script>"
    ),
    _case("script, percents", "<script>location = 'javascript:location%3D\"/to\"'</script>"),
)
