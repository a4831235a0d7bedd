"""HTML that scripts write into a page is searched for forms, within limits."""

import pytest

from fetcher.page.dom import read_dom
from safeurl.model.report import Form, FormField

_SECRET = "<input type=password name=p>"  # noqa: S105 - a tag


def _forms(code: str, before: str = "") -> tuple[Form, ...]:
    return read_dom(f"<p>text</p>{before}<script>{code}</script>", "http://site.test/d/").page.forms


def test_a_written_form_is_marked() -> None:
    """The page's own forms come first; a written one is made absolute and marked as written."""
    own, written = _forms(
        f"document.body.innerHTML += '<form method=post action=x>{_SECRET}</form>'",
        "<form action=y></form>",
    )
    assert (own.action, own.by_script) == ("http://site.test/d/y", False)
    assert written == Form(
        action="http://site.test/d/x",
        method="post",
        fields=(FormField(name="p", type="password"),),
        has_password=True,
        by_script=True,
    )


@pytest.mark.parametrize(
    "markup", ["<input>", "<input type=checkbox>", "<a href=/a>a</a><select></select>", ""]
)
def test_inputs_of_feature_tests_are_not_forms(markup: str) -> None:
    """Inputs without a form are reported only if one is a password field."""
    assert _forms(f"var d = document.createElement('p'); d.innerHTML = '{markup}'") == ()


def test_a_page_written_by_one_script_is_read() -> None:
    """A script with one long text in it is read although it is long."""
    hidden = "".join(f"%{ord(char):02x}" for char in f"<p>{'x' * 9_000}</p>{_SECRET}")
    assert [form.has_password for form in _forms(f"document.write(unescape('{hidden}'))")] == [True]


def test_the_same_markup_counts_once() -> None:
    """A script may write the same form twice."""
    assert len(_forms(f"a.innerHTML = b.innerHTML = '<form>{_SECRET}</form>'")) == 1


@pytest.mark.parametrize(
    "markup", ["<b>" * 6_000, "<p" + " a" * 5_000 + ">"], ids=["deep", "attributes"]
)
def test_markup_that_blocks_parsers_is_left_out(markup: str) -> None:
    """As for pages, such markup is left out and the rest is read."""
    made = _forms(f"a.innerHTML = '{markup}{_SECRET}'; b.innerHTML = '{_SECRET}'")
    assert len(made) == 1


def test_written_forms_have_the_bound_of_all_forms() -> None:
    """The report holds 64 forms."""
    assert len(_forms(f"a.innerHTML = '{'<form></form>' * 100}'", "<form></form>" * 20)) == 64
