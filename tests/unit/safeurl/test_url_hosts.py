"""Hosts that browsers open although no registrar sells such names: wildcard records serve them."""

from string import ascii_lowercase
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.address import AddressPolicy
from safeurl.analysis.target import split
from safeurl.errors import UrlRefusedError
from safeurl.url import Reason, defang, origin, parse, resolve
from tests.support.vectors import ODD_CHARACTERS, ODD_HOSTS

PAGE = parse("https://page.example/dir/")
LABELS = st.text(st.sampled_from(ascii_lowercase + "019-" + ODD_CHARACTERS), min_size=1, max_size=9)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(lambda each: ".".join([*each, "example"]))


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_a_host_that_browsers_open_is_accepted_everywhere(host: str) -> None:
    """A submitted URL, a redirect, a link's origin, the rules' own parser: all name that host."""
    url = f"http://{host}/a"
    assert parse(url).url == url
    assert parse(url).host == host
    assert resolve(PAGE, f"//{host}/a").host == host
    assert origin(url) == f"http://{host}"
    assert split(url).host == host.rstrip(".")
    assert urlsplit(url).hostname == host


@pytest.mark.parametrize("char", ODD_CHARACTERS)
@pytest.mark.parametrize("form", ["http://a{}b.example:8080/", "https://u:p@a{}b.example:8080/"])
def test_an_escaped_character_of_a_host_is_that_character(char: str, form: str) -> None:
    """Percent-encoding in a host is decoded, as browsers do."""
    assert parse(form.format(quote(char, safe=""))).host == f"a{char}b.example"


@given(HOSTS)
def test_what_was_returned_is_parsed_to_itself_defanged_or_not(host: str) -> None:
    """The worker and the sandbox read the same host out of a stored URL, and so does its reader."""
    try:
        parsed = parse(f"http://{quote(host, safe='.')}/x")
    except UrlRefusedError:
        return  # such as `xn--` before text that is not Punycode
    assert parsed.host == host
    assert parse(parsed.url) == parsed
    assert parse(defang(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://a(dot)b.example/", "a(dot)b.example"),
        ("hxxp://a(dot)b[.]example/", "a(dot)b.example"),
        ("a(.)b[dot]example/x(.)y", "a(.)b.example"),
        ("hxxp://a(dot)b.example/", "a.b.example"),
        ("a(dot)b(dot)example", "a.b.example"),
        ("http://www(.)evil(.)example/", "www.evil.example"),
        ("http://evil{dot}example:8080/", "evil.example"),
        ("http://evil (dot) example/", "evil.example"),
    ],
)
def test_only_defanged_text_is_refanged(text: str, host: str) -> None:
    """A host name contains no brackets; other marks may belong to it if nothing was defanged."""
    assert parse(text).host == host


def test_a_path_keeps_what_its_defanged_host_did_not_need() -> None:
    """A host that is defanged with square brackets does not change round brackets in the path."""
    assert parse("hxxp://evil[.]example/f(.)x[.]php").url == "http://evil.example/f(.)x.php"
    assert parse("hxxp://evil(.)example/f(.)x").url == "http://evil.example/f.x"


@pytest.mark.parametrize("host", ["evil%28.%29example", "evil%28dot%29example", "a.b%7b.%7dc"])
def test_a_host_that_would_be_read_as_a_defanged_one_is_refused(host: str) -> None:
    """No other program may read another host in the stored URL."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(f"http://{host}/")
    assert caught.value.reason in {Reason.AMBIGUOUS, Reason.SINGLE_LABEL}


@pytest.mark.parametrize(
    "host",
    [
        "a..example",
        ".a.example",
        "a.example..",
        f"{'!' * 64}.example",
        f"{'a.' * 123}examples",
        *(f"a%{ord(char):02x}b.example" for char in " #%/:<>?@[\\]^|\x7f"),
    ],
)
def test_what_the_dns_cannot_hold_or_no_browser_opens_is_refused(host: str) -> None:
    """Empty and over-long labels, over-long names, and the standard's forbidden code points."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(f"http://{host}/")
    assert caught.value.reason == Reason.HOST_INVALID


@pytest.mark.parametrize("host", ["a!b.localhost", "{}.local", "a=b.internal", "$.onion"])
def test_an_odd_label_opens_no_local_name(host: str) -> None:
    """The names of this machine and network stay refused below any label."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(f"http://{host}/", AddressPolicy())
    assert caught.value.reason == Reason.LOCAL_NAME
