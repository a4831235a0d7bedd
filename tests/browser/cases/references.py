"""The targets of references with unusual characters around or in them."""

from tests.browser.case import Case, make_response

#: Seconds to wait for changes; these pages do not navigate.
_QUIET_S = 0.1


def _form(name: str, reference: str, *, formaction: bool = False) -> Case:
    inner = f'<button formaction="{reference}">' if formaction else "<input type=password>"
    action = "/a" if formaction else reference
    page = f'<title>x</title><form action="{action}">{inner}</form>'
    return Case(name, {"/dir/page": make_response(page)}, ("targets",), "/dir/page", _QUIET_S)


CASES = (
    _form("spaces", " \n/x\t\f "),
    _form("no-break-space", "\u00a0/x\u00a0"),
    _form("wide-space", "\u3000http://other.example/\u3000"),
    _form("line-separator", "\u2028/x"),
    _form("next-line", "\u0085/x"),
    _form("controls", "\x01\x1f/x\x0b\x1c"),
    _form("inside", "ht\ttp://oth\ner.exam\tple/a\tb"),
    _form("no-break-space-alone", "\u00a0"),
    _form("zero-width", "\u200b//other.example/"),
    _form("submitter", "\u00a0/x", formaction=True),
    _form("submitter-controls", "\x1f/x\x1d", formaction=True),
)
