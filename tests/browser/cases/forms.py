"""Forms and submit buttons: the targets of the input."""

from tests.browser.case import Case, make_response

_ALL = ("targets", "password")
_SECRET = "<input type=password name=p>"  # noqa: S105 - a tag


def _case(name: str, page: str) -> Case:
    return Case(name, {"/": make_response("<!doctype html><title>f</title>" + page)}, _ALL)


CASES = (
    _case("button", f"<form action=/a>{_SECRET}<button formaction=/b>go</button></form>"),
    _case("input_submit", f"<form action=/a>{_SECRET}<input type=submit formaction=/b></form>"),
    _case("input_image", f"<form action=/a>{_SECRET}<input type=IMAGE formaction=/b></form>"),
    _case("reset", f"<form action=/a>{_SECRET}<button type=reset formaction=/b></button></form>"),
    _case("plain_button", "<form action=/a><button type=button formaction=/b></button></form>"),
    _case("bad_type", "<form action=/a><button type=bogus formaction=/b></button></form>"),
    _case("text_input", f"<form action=/a>{_SECRET}<input formaction=/b></form>"),
    _case("outside", f"<form id=f action=/a>{_SECRET}</form><button form=f formaction=/b>"),
    _case("form_later", f"<button form=f formaction=/b></button><form id=f action=/a>{_SECRET}"),
    _case("other_form", "<form action=/a><button form=g formaction=/b></button></form>"
          "<form id=g action=/c></form>"),
    _case("form_missing", "<form action=/a><button form=none formaction=/b></button></form>"
          "<form></form>"),
    _case("id_not_a_form", "<form></form><p id=f></p>"
          "<form id=f action=/a></form><button form=f formaction=/b>"),
    _case("empty_formaction", f"<form action=/a>{_SECRET}<button formaction=''></button></form>"),
    _case("no_action", f"<form>{_SECRET}<button formaction=http://drop.test/x></button></form>"),
    _case("nested", "<form action=/a><div><form action=/b><button formaction=/c></div></form>"),
    _case("in_table", "<table><form action=/a><tr><td><button formaction=/b>go</table>"),
    _case("based", "<base href=http://base.test/><form action=a><button formaction=b></form>"),
)  # fmt: skip
