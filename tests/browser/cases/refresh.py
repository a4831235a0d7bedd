"""Refresh headers and `<meta http-equiv=refresh>`: whether they navigate, and to which URL."""

from tests.browser.case import LOGIN, OTHER, Case, make_response

_SAME = "The fetcher does not load a page again to scroll to a fragment."
_FIRST_QUOTE = "The HTML standard ends a quoted URL at the next quote, Chromium at the last one."


def _meta(name: str, content: str, more: str = "", explained: str = "") -> Case:
    """Return a page with the refresh, and another page under every other path."""
    page = f'<!doctype html><title>first</title><meta http-equiv=refresh content="{content}">{more}'
    return Case(name, {"/": make_response(page), "*": make_response(OTHER)}, explained=explained)


def _page(name: str, page: str, explained: str = "", *, line: bytes = b"X: x") -> Case:
    first = make_response("<!doctype html>" + page, line)
    return Case(name, {"/": first, "*": make_response(OTHER)}, explained=explained)


def _header(name: str, value: bytes) -> Case:
    return _page(name, "<title>first</title>", line=b"Refresh: " + value)


_TO = "<meta http-equiv=refresh content='0;url=/to'>"

CASES = (
    _meta("letters_after_the_delay", "0foo; url=/to"),
    _meta("comma", "0,/to"),
    _meta("two_separators", "0;;url=/to"),
    _meta("name_without_its_sign", "0;url /to"),
    _meta("quotes_without_a_name", "0;'/to'x"),
    _meta("open_quote", "0;url='/to"),
    _meta("two_closing_quotes", "0;url='/to'x'", explained=_FIRST_QUOTE),
    _meta("no_break_space_before", "\u00a00;url=/to"),
    _meta("no_break_space_after", "0;\u00a0url=/to"),
    _meta("vertical_tab", "0;\x0burl=/to"),
    _meta("points_alone", ".;url=/to", explained="Chromium requires digits in the delay."),
    _meta("negative", "-0;url=/to"),
    _meta("full_width_digit", "\uff10;url=/to"),
    _meta("script", "0;url=javascript:document.title='x'"),
    _meta("beside_a_hidden_field", "0;url=/to", "<form hidden><input name=q></form>"),
    _meta("beside_a_password_field", "0;url=/to", LOGIN),
    _header("header", b"0;url=/to"),
    _header("header_letters", b"0a;url=/to"),
    _page("noscript_in_head", f"<head><noscript>{_TO}</noscript><title>first</title>"),
    _page("noscript_unclosed", f"<title>first</title><p>x<noscript>{_TO}"),
    _page("noscript_title", "<noscript><title>no</title></noscript><title>first</title>"),
    _page("noscript_in_a_script", f"<title>first</title><script>'<noscript>'</script>{_TO}"),
    _page("noscript_in_a_comment", f"<title>first</title><!-- <noscript> -->{_TO}"),
    _page("noscript_in_a_value", f"<title>first</title><p title='<noscript>'>x</p>{_TO}"),
    _page("noscript_end_in_a_comment", f"<title>a</title><noscript><!--</noscript>{_TO}-->"),
    _page("in_a_template", f"<title>first</title><template>{_TO}</template>"),
    _page("two_metas", f"<title>a</title>{_TO}<meta http-equiv=refresh content='0;url=/two'>"),
    _page("a_broken_one_first", f"<title>a</title><meta http-equiv=refresh content=x>{_TO}"),
    _page("white_space_in_the_name", f"<title>a</title>{_TO}".replace("refresh", "' refresh'")),
    _page("only_a_fragment", "<title>a</title><meta http-equiv=refresh content='0;#x'>", _SAME),
    _page("sooner_in_meta", f"<title>a</title>{_TO}", line=b"Refresh: 1;url=/late"),
)
