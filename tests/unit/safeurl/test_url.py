"""URLs: refusals and their reasons, normalisation, redirects, defanging."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.address import AddressPolicy, PolicyOverrides, Rule
from safeurl.errors import UrlRefusedError
from safeurl.url import (
    MAX_REDIRECT_BYTES,
    NAMED_SCHEMES,
    ParsedUrl,
    Reason,
    defang,
    origin,
    parse,
    resolve,
)
from tests.support.vectors import CONFUSIONS, LITERALS

PASSING = {
    "http://1.1.1.1/": "http://1.1.1.1/",
    "8.8.8.8": "http://8.8.8.8/",
    "93.184.216.34/x": "http://93.184.216.34/x",
    "0x08080808": "http://8.8.8.8/",
    "http://[2606:4700::1111]/": "http://[2606:4700::1111]/",
    "[2606:4700:0::1111]:8080/": "http://[2606:4700::1111]:8080/",
    "http://[::ffff:1.1.1.1]/": "http://[::ffff:101:101]/",
    "example.com": "http://example.com/",
    "//example.com/a": "http://example.com/a",
    "example.com/path?q#f": "http://example.com/path?q#f",
    "example.com:8080/a": "http://example.com:8080/a",
    "example.com:443": "https://example.com/",
    "EXAMPLE.com./": "http://example.com./",
    "m\u00fcnchen.example": "http://xn--mnchen-3ya.example/",
    "http://\u4f8b\u3048.\u30c6\u30b9\u30c8/": "http://xn--r8jz45g.xn--zckzah/",
    "http://fa\u00df.example/": "http://xn--fa-hia.example/",
    "http://xn--mnchen-3ya.example/": "http://xn--mnchen-3ya.example/",
    "http://xn--a.example/": "http://xn--a.example/",
    "http://under_score.example/": "http://under_score.example/",
    "http://r3---sn.example/": "http://r3---sn.example/",
    "http://e\uff58ample\u3002com/": "http://example.com/",
    "http://ex%61mple.com/": "http://example.com/",
    "HTTPS://Example.COM:443/A": "https://example.com/A",
    "http://example.com:0080/": "http://example.com/",
    "http://example.com:/": "http://example.com/",
    "http:\\\\example.com\\a": "http://example.com/a",
    "http://paypal.com@example.com/": "http://example.com/",
    "http://user:pass@example.com:8080/": "http://example.com:8080/",
    "http://a@b@example.com/": "http://example.com/",
    "http://example.com/a/./b/../c d": "http://example.com/a/c%20d",
    "http://example.com/%7euser/%00": "http://example.com/%7euser/%00",
    "http://example.com/#joe@example.net": "http://example.com/#joe@example.net",
    "  <http://example.com/>\n": "http://example.com/",
    '"example.com"': "http://example.com/",
    "\u201cexample.com\u201d": "http://example.com/",
    "\ufeffhttp://example.com/\u200b": "http://example.com/",
    "hxxp://example.com/": "http://example.com/",
    "hXXps://example[.]com": "https://example.com/",
    "h**p://example(.)com": "http://example.com/",
    "http[:]//example{.}com": "http://example.com/",
    "https[://]example[dot]com": "https://example.com/",
    "example (dot) com/x": "http://example.com/x",
    "example dot com": "http://example.com/",
    "example[.]com[:]8080/a": "http://example.com:8080/a",
    "hxxp://1[.]1[.]1[.]1/a[.]php": "http://1.1.1.1/a.php",
    "hxxp://[2606[:]4700[:][:]1111]/": "http://[2606:4700::1111]/",
    "http://example.com/a[.]php?(dot)": "http://example.com/a[.]php?(dot)",
}

BASE = parse("https://example.com/dir/page?q#frag")


def reason_of(text: str, policy: AddressPolicy | None = None) -> str:
    """Return why the text is refused; fail when it is not."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(text, policy or AddressPolicy())
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert sentence.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize(("literal", "reason"), LITERALS.items())
@pytest.mark.parametrize("form", ["{}", "http://{}/", "https://u:p@{}:8080/x", "hxxp://{}?q#f"])
def test_a_literal_that_is_not_public_is_refused_in_every_spelling(
    literal: str, reason: str, form: str
) -> None:
    """Numbers, wide digits, dots, escapes: whatever a browser would read as that address."""
    assert reason_of(form.format(literal)) == reason


@pytest.mark.parametrize(("text", "reason"), CONFUSIONS.items(), ids=ascii)
def test_what_programs_read_differently_is_refused(text: str, reason: str) -> None:
    """Each URL that parsers read differently is refused with a reason."""
    assert reason_of(text) == reason


@pytest.mark.parametrize("scheme", sorted(NAMED_SCHEMES))
def test_another_scheme_is_refused(scheme: str) -> None:
    """Only http and https are opened, whatever follows the colon."""
    for rest in ("//example.com/", "http://example.com/", "1", "8080/", "x"):
        assert reason_of(f"{scheme}:{rest}") == Reason.SCHEME
        assert reason_of(f"{scheme.upper()}:{rest}") == Reason.SCHEME


@pytest.mark.parametrize(("text", "url"), PASSING.items(), ids=ascii)
def test_a_public_url_passes_normalised(text: str, url: str) -> None:
    """Public URLs are accepted, defanged or not, and are written as a browser would write them."""
    assert parse(text).url == url


def test_the_parts_are_those_of_the_normalised_url() -> None:
    """Scheme, host and port are ready to be dialled."""
    assert parse("https://u@[2606:4700:0::1111]/a#f") == ParsedUrl(
        url="https://[2606:4700::1111]/a#f",
        scheme="https",
        host="2606:4700::1111",
        port=443,
        is_literal=True,
    )
    assert parse("M\u00fcnchen.example:8080") == ParsedUrl(
        url="http://xn--mnchen-3ya.example:8080/",
        scheme="http",
        host="xn--mnchen-3ya.example",
        port=8080,
        is_literal=False,
    )


def test_settings_open_literals_and_ports_but_never_localhost() -> None:
    """A lab's exceptions are honoured; a name of the scanner's own machine stays refused."""
    lab = AddressPolicy.parse(
        PolicyOverrides(
            allow_cidrs=("127.0.0.0/8",), deny_cidrs=("1.1.1.0/24",), allow_ports=(6379,)
        )
    )
    assert parse("http://0x7f.1:6379/", lab).url == "http://127.0.0.1:6379/"
    assert parse("http://[::ffff:127.0.0.1]/", lab).is_literal
    assert reason_of("http://localhost:6379/", lab) == Reason.LOCAL_NAME
    assert reason_of("http://1.1.1.1/", lab) == Rule.DENIED_BY_SETTING
    assert reason_of("http://169.254.169.254/", lab) == Rule.METADATA


HOSTILE = st.text(
    st.sampled_from("htpsx:/\\@[].()%0127afe?# \t\n\x00-_~{}|'\"<>\u3002\uff0e\u00e4\u2460dot"),
    max_size=60,
)


@given(st.one_of(st.text(max_size=200), HOSTILE, HOSTILE.map("http://example.com{}".format)))
def test_any_text_is_parsed_to_a_fixed_point_or_refused(text: str) -> None:
    """Every error is a refusal, and a normalised URL is parsed to itself."""
    try:
        parsed = parse(text)
    except UrlRefusedError:
        return
    assert parse(parsed.url) == parsed
    assert parsed.url.isascii()
    assert parsed.url.isprintable()


@given(
    st.one_of(HOSTILE, HOSTILE.map("http://1.1.1.1{}".format), HOSTILE.map("//a.example{}".format))
)
def test_the_standard_library_reads_the_same_host_out_of_the_result(text: str) -> None:
    """Every other parser reads the same host in a normalised URL."""
    try:
        parsed = resolve(BASE, text)
    except UrlRefusedError:
        return
    other = urlsplit(parsed.url)
    assert (other.scheme, other.hostname) == (parsed.scheme, parsed.host)
    assert (other.port or {"http": 80, "https": 443}[other.scheme]) == parsed.port
    assert "@" not in other.netloc


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("", "https://example.com/dir/page?q"),
        ("next", "https://example.com/dir/next"),
        ("../up?x", "https://example.com/up?x"),
        ("/root", "https://example.com/root"),
        ("?only", "https://example.com/dir/page?only"),
        ("#here", "https://example.com/dir/page?q#here"),
        ("//example.net/x", "https://example.net/x"),
        ("/\\example.net/x", "https://example.net/x"),
        ("http:\\\\example.net", "http://example.net/"),
        (" http://u:p@example.net/ ", "http://example.net/"),
        ("https:next", "https://example.com/dir/next"),
        ("a b\u00e4", "https://example.com/dir/a%20b%C3%A4"),
        ("a[.]b", "https://example.com/dir/a[.]b"),
        ("example.net", "https://example.com/dir/example.net"),
        ("/a\nb\tc", "https://example.com/abc"),
        ("\x00 /a\x1f", "https://example.com/a"),
        ('"/a"', "https://example.com/dir/%22/a%22"),
        ("<b>", "https://example.com/dir/%3Cb%3E"),
        ("\xa0", "https://example.com/dir/%C2%A0"),
        ("b\u200b", "https://example.com/dir/b%E2%80%8B"),
        ("//example.net\\@example.org/", "https://example.net/@example.org/"),
        ("//exa mple.net@example.org/", "https://example.org/"),
        ("//a%00@example.org/", "https://example.org/"),
        ("\u3000//example.org/", "https://example.com/dir/%E3%80%80//example.org/"),
    ],
)
def test_a_redirect_is_resolved_as_a_browser_does(location: str, url: str) -> None:
    """Relative references count from the page, and nothing is refanged."""
    assert resolve(BASE, location).url == url
    assert resolve(BASE.url, location) == resolve(BASE, location)


@pytest.mark.parametrize(("literal", "reason"), LITERALS.items())
@pytest.mark.parametrize("form", ["//{}/", "http://{}/", "/\\{}:8080", "http:{}"])
def test_a_redirect_to_a_refused_literal_is_refused(literal: str, reason: str, form: str) -> None:
    """The first hop earns the next one no trust."""
    if "[.]" in literal or "%00" in literal:
        reason = Reason.HOST_INVALID
    with pytest.raises(UrlRefusedError) as caught:
        resolve(BASE, form.format(literal))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("javascript:alert(1)", Reason.SCHEME),
        ("data:text/html,x", Reason.SCHEME),
        ("file:///etc/passwd", Reason.SCHEME),
        ("gopher://127.0.0.1:6379/_x", Reason.SCHEME),
        ("hxxp://example.com/", Reason.SCHEME),
        ("ftp://[broken/", Reason.SCHEME),
        ("//exa mple.net/", Reason.HOST_INVALID),
        ("//example%00.net/", Reason.HOST_INVALID),
        ("//localhost\\@example.net/", Reason.LOCAL_NAME),
        ("//example.net:25/", Rule.PORT_PRIVILEGED),
        ("//", Reason.EMPTY_HOST),
        ("x" * (MAX_REDIRECT_BYTES + 1), Reason.TOO_LONG),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_redirect_is_refused_for_the_same_reasons(location: str, reason: str) -> None:
    """Schemes, confusions, ports and lengths are judged at each hop."""
    with pytest.raises(UrlRefusedError) as caught:
        resolve(BASE, location)
    assert caught.value.reason == reason


@pytest.mark.parametrize("host", ["[2606:4700::1111]", "1.1.1.1", "[2606:4700::1111]:8080"])
@pytest.mark.parametrize(
    ("location", "path"),
    [("/to", "/to"), ("to", "/dir/to"), ("?q", "/dir/page?q"), ("#f", "/dir/page#f")],
)
def test_a_redirect_without_a_host_stays_on_the_address(
    host: str, location: str, path: str
) -> None:
    """The host may also be an address of the base URL, of either kind, with or without a port."""
    expected = parse(f"http://{host}{path}")
    assert expected.is_literal
    assert resolve(f"http://{host}/dir/page", location) == expected


def test_a_redirect_without_a_host_does_not_leave_the_policy() -> None:
    """The base's address is judged again, under the policy that is in force now."""
    with pytest.raises(UrlRefusedError) as caught:
        resolve("http://10.0.0.1/", "/to")
    assert caught.value.reason == Rule.PRIVATE


def test_a_redirect_may_be_longer_than_a_submitted_url() -> None:
    """Sign-in pages send long state along; the next hop still resolves against it."""
    hop = resolve(BASE, "/x?" + "s" * 4000)
    assert resolve(hop, "y").url == "https://example.com/y"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://www.example.com/a.b?c=d.e", "hxxps://www[.]example[.]com/a.b?c=d.e"),
        ("http://1.1.1.1:8080/", "hxxp://1[.]1[.]1[.]1:8080/"),
        ("http://[2606:4700::1111]/", "hxxp://[2606:4700::1111]/"),
        ("http://example.com/x[.]y(dot)z?{.}", "hxxp://example[.]com/x%5B.]y%28dot)z?%7B.}"),
        ("javascript:a.b", "javascript:a[.]b"),
        ("not a url.", "not a url[.]"),
    ],
)
def test_defanged_text_is_no_link(url: str, text: str) -> None:
    """Scheme and host are defanged; text that is not a URL causes no error."""
    assert defang(url) == text


@given(
    st.from_regex(r"\A(https?)://[a-z]{1,9}\.[a-z]{2,5}(:8080)?/[a-z/.%20]{0,9}(\?[a-z.=]{1,9})?\Z")
)
def test_what_was_defanged_is_parsed_to_the_same_url(text: str) -> None:
    """Our own output can be pasted back."""
    parsed = parse(text)
    assert parse(defang(parsed)) == parsed


@pytest.mark.parametrize("tail", ["/x[.]y", "/a(dot)b", "/?q={.}", "/#[dot]", "/[.](.){DOT}"])
def test_brackets_of_a_path_are_not_taken_for_a_defanged_dot(tail: str) -> None:
    """The printed form of such a URL leads to the same page, with a differently written bracket."""
    parsed = parse(f"http://example.com{tail}")
    assert unquote(parse(defang(parsed)).url) == unquote(parsed.url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a", "https://example.com"),
        ("https://u@EXAMPLE.com:443/", "https://example.com"),
        ("http://example.com:8080/", "http://example.com:8080"),
        ("javascript:x", "null"),
        ("", "null"),
        ("relative/path", "null"),
    ],
)
def test_origin_is_what_browsers_compare(url: str, expected: str) -> None:
    """It has scheme, host and unusual port; a missing origin is `null` and equals no other one."""
    assert origin(url) == expected


def test_origin_takes_parsed_urls() -> None:
    """A `ParsedUrl` need not be taken apart first."""
    assert origin(BASE) == "https://example.com"
