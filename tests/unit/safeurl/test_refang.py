"""Defanged text: the meaning of each mark, and the texts that stay unchanged or are refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safeurl.errors import UrlRefusedError
from safeurl.pasted import find_urls
from safeurl.url import Reason, defang, parse, resolve

_A = "https://login.evil.example/a"

#: The marks that iocextract, ioc-finder and ioc-fanger know, and the URL that was meant.
_MARKED = [
    # Schemes.
    ("hxxps://login.evil.example/a", _A),
    ("hXXps://login.evil.example/a", _A),
    ("h**ps://login.evil.example/a", _A),
    ("htxps://login.evil.example/a", _A),
    ("hxxp[s]://login.evil.example/a", _A),
    ("http[s]://login.evil.example/a", _A),
    ("hxxp(s)://login.evil.example/a", _A),
    ("[hxxps]://login.evil.example/a", _A),
    ("[https]://login.evil.example/a", _A),
    ("(https)://login.evil.example/a", _A),
    ("meows://login.evil.example/a", _A),
    ("xxxxs://login.evil.example/a", _A),
    ("xxxxx://login.evil.example/a", _A),
    ("xxxx://login.evil.example/a", "http://login.evil.example/a"),
    ("ht tps://login.evil.example/a", _A),
    ("https ://login.evil.example/a", _A),
    ("ht\u200btps://login.evil.example/a", _A),
    ("hxxps__login.evil.example/a", _A),
    ("[https://]login.evil.example/a", _A),
    ("(hxxps://)login.evil.example/a", _A),
    # Colon and slashes.
    ("https[:]//login.evil.example/a", _A),
    ("https(:)//login.evil.example/a", _A),
    ("https[://]login.evil.example/a", _A),
    ("https(://)login.evil.example/a", _A),
    ("https:[//]login.evil.example/a", _A),
    ("https:[/][/]login.evil.example/a", _A),
    ("https[:][/][/]login.evil.example/a", _A),
    ("https:[/]/login.evil.example/a", _A),
    ("hxxps:\\\\login.evil.example/a", _A),
    ("https:\\/\\/login.evil.example/a", _A),
    ("https\uff1a\uff0f\uff0flogin.evil.example/a", _A),
    ("https%3A%2F%2Flogin.evil.example%2Fa", _A),
    ("hxxps%3A%2F%2Flogin%2Eevil%2Eexample%2Fa", _A),
    ("https:&#x2F;&#x2F;login.evil.example&#x2F;a", _A),
    ("https&colon;&sol;&sol;login.evil.example&sol;a", _A),
    # Dots.
    ("hxxps://login.evil\\.example/a", _A),
    ("hxxps://login\\.evil\\.example/a", _A),
    ("https://login\\.evil\\.example/a", _A),
    ("https://login[.]evil[.]example/a", _A),
    ("https://login[.evil[.example/a", _A),
    ("https://login.]evil.]example/a", _A),
    ("https://login[.[evil].]example/a", _A),
    ("https://login].[evil.[example/a", _A),
    ("https://[login].evil.example/a", _A),
    ("https://login<.>evil<dot>example/a", _A),
    ("https://login[dot]evil[DOT]example/a", _A),
    ("https://login[punto]evil[punkt]example/a", _A),
    ("https://login%5B.%5Devil%5b.%5dexample/a", _A),
    ("https://login&#46;evil&period;example/a", _A),
    ("https://login\u3002evil\uff0eexample/a", _A),
    ("hxxps://login(.)evil(dot)example/a", _A),
    ("hxxps://login{.}evil{dot}example/a", _A),
    ("hxxps://login(.evil.)example/a", _A),
    ("hxxps://login{.evil.}example/a", _A),
    ("hxxps://login((.))evil{{dot}}example/a", _A),
    ("https://login[[dot]]evil[[.]]example/a", _A),
    ("https://login[.)evil(.]example/a", _A),
    ("hxxps://login{.]evil[dot}example/a", _A),
    ("evil(.example", "http://evil.example/"),
    ("1\\.)1[.1.)1", "http://1.1.1.1/"),
    ("evil.}example/a", "http://evil.example/a"),
    ("www[.]evil[.]example", "http://www.evil.example/"),
    ("www\\.evil\\.example/a", "http://www.evil.example/a"),
    ("evil\\.example", "http://evil.example/"),
    ("evil dot example", "http://evil.example/"),
    ("evil DOT example", "http://evil.example/"),
    ("evil[-]x[.]example", "http://evil-x.example/"),
    # Path, query, port and user name.
    ("https://login.evil.example[/]a", _A),
    ("https://login.evil.example[/]a[/]b[?]c", "https://login.evil.example/a/b?c"),
    ("https://login.evil.example(/)a", _A),
    ("hxxps://login[.]evil[.]example(/)a{/}b(?)c", "https://login.evil.example/a/b?c"),
    ("hxxps://bob(@)login.evil.example/a", _A),
    ("https://login.evil.example[?]q=1", "https://login.evil.example/?q=1"),
    ("https://login.evil.example[#]x", "https://login.evil.example/#x"),
    ("hxxps://login.evil.example[:]8443/a", "https://login.evil.example:8443/a"),
    ("hxxps://login.evil.example(:)8443/a", "https://login.evil.example:8443/a"),
    ("https://bob[@]login.evil.example/a", _A),
    ("https://bob[at]login.evil.example/a", _A),
    ("https://login&#46;evil.example/?a=1&amp;b=2", "https://login.evil.example/?a=1&b=2"),
    # What surrounds it.
    ("<https://login.evil.example/a>", _A),
    ("\u200bhttps://login.evil.example/a\u200b", _A),
    ("https://login.evil.example,", "https://login.evil.example/"),
    ("https://login.evil.example!", "https://login.evil.example/"),
]

#: URLs that are not defanged: what they hold is theirs.
_GENUINE = [
    "https://a.example/?q=[.]",
    "https://a.example/?a[0]=1&a[]=2",
    "https://a.example/x[/]y[?]z",
    "https://a.example/?u=hxxp://b[.]example",
    "https://a.example/?x=1&amp;y=2&#46;",
    "https://a.example/&#x2F;x",
    "https://a.example/x(dot)y",
    "https://a.example/?q=a\\.b",
    "https://a.example/#[dot]",
    "https://[2606:4700::1111]/x[.]y",
    "https://[2606:4700::1111]:8443/",
    "https://a.example/x%5B.%5Dy",
    "https://a.example/?u=https%3A%2F%2Fb.example",
    "https://a(dot)b.example/",
    "https://a&b.example/",
    "https://a(.b.example/",
    "https://bob(at)a.example/",
    "https://a.b{.example/x(/)y",
]


@pytest.mark.parametrize(("text", "url"), _MARKED, ids=ascii)
def test_a_mark_stands_for_what_its_writer_meant(text: str, url: str) -> None:
    """Each known mark of scheme, dots, slashes, path and surroundings gives the same URL."""
    assert parse(text).url == url


@pytest.mark.parametrize("url", _GENUINE, ids=ascii)
def test_what_is_not_defanged_keeps_its_brackets(url: str) -> None:
    """No host and no path becomes another one."""
    assert parse(url).url == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://login.evil\\.example/a", Reason.AMBIGUOUS),
        ("good.example\\.evil.example/a", Reason.AMBIGUOUS),
        ("http://a.example\\.well-known/x", Reason.AMBIGUOUS),
        ("hxxp://a.example\\.b@c.example/", Reason.AMBIGUOUS),
        ("http:// a.example/", Reason.AMBIGUOUS),
        ("bob[@]evil[.]example", Reason.AMBIGUOUS),
        ("hxxps://login(.evil[.]example/a", Reason.AMBIGUOUS),
        ("https://a.)b[.]example/", Reason.AMBIGUOUS),
        ("https://good.example(@)evil.example/", Reason.AMBIGUOUS),
        ("fxp://a.example/", Reason.SCHEME),
        ("fxps://a[.]example/", Reason.SCHEME),
        ("sftp[:]//a.example/", Reason.SCHEME),
        ("evil-dot-example", Reason.SINGLE_LABEL),
        ("two words", Reason.NO_URL),
        ("Dear Sir or Madam, please pay 12.50", Reason.NO_URL),
        ("--", Reason.NO_URL),
        ("!!! ...", Reason.NO_URL),
        ("evil . example", Reason.NO_URL),
    ],
    ids=ascii,
)
def test_what_can_be_read_as_two_hosts_is_refused(text: str, reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://login.evil\\.example/a", ("'login.evil'", "'login.evil.example'")),
        ("hxxp://a(.b[.]example/", ("'a(.b.example'", "'a.b.example'")),
        ("hxxp://bob{at}a.example/", ("'bob{at}a.example'", "'a.example'")),
        ("https://good.example{@}evil.example/", ("'}evil.example'", "'evil.example'")),
    ],
)
def test_a_refusal_names_both_hosts(text: str, hosts: tuple[str, str]) -> None:
    """The user who pasted it knows which host is meant."""
    with pytest.raises(UrlRefusedError) as caught:
        parse(text)
    assert all(host in str(caught.value) for host in hosts)


@pytest.mark.parametrize("host", ["a(.b.example", "b).c.example", "a{.}b.example", "x(.)y.example"])
def test_what_is_shown_defanged_leads_to_the_same_host(host: str) -> None:
    """Brackets of the host are distinguished from those of its defanged dots."""
    assert parse(defang(f"http://{host}/")).host == host


@pytest.mark.parametrize(
    "location", ["//a[.]b.example/", "//a&#46;b.example/x", "hxxps://a.example/", "//a[/]b"]
)
def test_nothing_that_a_server_sent_is_refanged(location: str) -> None:
    """A redirect is read as a browser reads it, or refused."""
    with pytest.raises(UrlRefusedError):
        resolve("https://page.example/", location)


@pytest.mark.parametrize(("text", "url"), _MARKED, ids=ascii)
def test_a_pasted_line_of_one_url_is_that_url(text: str, url: str) -> None:
    """The commands, the API and the page read a line in the same way as a URL."""
    assert [parse(each).url for each in find_urls(text).urls] == [url]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("see hxxp[s]://a[.]example/x now", ["a.example"]),
        ("see [hxxp]://a[.]example/x, [https]://b.example", ["a.example", "b.example"]),
        ("check evil\\.example please", ["evil.example"]),
        ("hxxp(:)//a.example/x|https[://]b.example", ["a.example", "b.example"]),
        ("[report](hxxps://a[.]example/x) and meow://b.example", ["a.example", "b.example"]),
    ],
    ids=ascii,
)
def test_defanged_urls_are_found_between_words(text: str, hosts: list[str]) -> None:
    """The marks of a URL's start are found within a sentence."""
    assert [parse(each).host for each in find_urls(text).urls] == hosts


_HOST_PARTS = [*"(){}.ab-_!&'*+", "dot", "at", ".example", "(.example"]


@given(st.lists(st.sampled_from(_HOST_PARTS), max_size=9).map("".join))
@example("(at)x")
@example("a({at}b")
@example("x(.)y(.z")
def test_no_host_becomes_another_one_on_its_way_through_text(host: str) -> None:
    """Plain it is read as browsers read it; defanged it leads to the same host or is refused."""
    try:
        page = resolve("https://page.example/", f"//{host}.example/")
    except UrlRefusedError:
        return
    assert parse(page.url).host == page.host
    try:
        again = parse(defang(page))
    except UrlRefusedError:
        return
    assert again.host == page.host
