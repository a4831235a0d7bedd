"""Whose host a name is, which brand a text names, and which labels look alike."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.analysis.brands import brands, by_skeleton, named_in, owner_of
from safeurl.analysis.site import site_of
from safeurl.analysis.target import split
from safeurl.analysis.text import around, excerpt, fold, is_one_edit, skeleton


@pytest.mark.parametrize(
    ("host", "name", "free"),
    [
        ("www.example.co.uk", "example.co.uk", False),
        ("alice.github.io", "alice.github.io", True),
        ("a.b.weebly.com", "b.weebly.com", True),
        ("x.blob.core.windows.net", "x.blob.core.windows.net", True),
        ("shop.example.uk.com", "example.uk.com", False),
        ("sites.google.com", "sites.google.com", True),
        ("docs.google.com", "docs.google.com", True),
        ("8.8.8.8", "8.8.8.8", False),
        ("2001:db8::1", "2001:db8::1", False),
        ("localhost", "localhost", False),
        ("", "", False),
        ("..", "", False),
    ],
)
def test_a_site_is_the_name_somebody_holds(host: str, name: str, *, free: bool) -> None:
    """Private suffixes count; addresses are not names; invalid text has no site."""
    site = site_of(host)
    assert (site.name, site.is_free_hosted) == (name, free)


@pytest.mark.parametrize(
    ("host", "brand"),
    [
        ("www.paypal.com", "PayPal"),
        ("paypal.co.jp", "PayPal"),
        ("www.amazon.com.br", "Amazon"),
        ("amazon.jobs", "Amazon"),
        ("www.linkedin.com", "LinkedIn"),
        ("login.microsoftonline.com", "Microsoft"),
        ("docs.google.com", "Google"),
        ("my.jcb.co.jp", "JCB"),
        ("amazon.evil.example", None),
        ("paypal.xyz", None),
        ("paypal.tk", None),
        ("notpaypal.com", None),
        ("paypal.com.example.net", None),
        ("x.blob.core.windows.net", None),
        ("", None),
    ],
)
def test_a_host_is_a_brands_only_if_the_table_says_so(host: str, brand: str | None) -> None:
    """The suffixes of countries count; names of other people on a brand's service do not."""
    owner = owner_of(host, site_of(host))
    assert (owner.name if owner else None) == brand


@pytest.mark.parametrize(
    ("title", "brand", "is_all"),
    [
        ("log in to your paypal account", "PayPal", True),
        ("netflix", "Netflix", True),
        ("netflix raises prices", "Netflix", False),
        ("apple", "Apple", True),
        ("三井住友カード 会員 ログイン", "SMBC", True),
        ("bank of america | online banking | sign in", "Bank of America", True),
    ],
)
def test_a_title_names_a_brand(title: str, brand: str, *, is_all: bool) -> None:
    """The result also says whether the title has other words."""
    found = named_in(title)
    assert found is not None
    assert (found.brand.name, found.is_all, found.is_disguised) == (brand, is_all, False)


@pytest.mark.parametrize("title", ["apple pie for six", "pineapple", "my paypals", "", "入门"])
def test_other_titles_name_nobody(title: str) -> None:
    """A common word needs other words, and a part of a word does not count."""
    assert named_in(title) is None


def test_the_table_is_consistent() -> None:
    """No domain, label, word or spelling belongs to two brands, and none is empty."""
    table = brands()
    assert len(table) >= 100
    for kind in ("domains", "labels"):
        held = Counter(item for brand in table for item in getattr(brand, kind))
        assert [item for item, count in held.items() if count > 1 or not item] == []
    words = Counter(w for b in table for w in b.words | b.common_words)
    titles = Counter(t for b in table for t in b.titles | b.common_titles)
    assert max(words.values()) == max(titles.values()) == 1
    assert all(brand.domains | brand.labels for brand in table)


@pytest.mark.parametrize(
    "label", ["paypa1", "p\u0430ypal", "p\u0430yp\u0430l", "netfl1x", "rnicrosoft", "payp\u00e4l"]
)
def test_look_alike_labels_share_a_skeleton(label: str) -> None:
    """Digits, other scripts, accents and pairs of letters."""
    assert by_skeleton(label) is not None


@pytest.mark.parametrize("label", ["paypal", "microsoft", "m\u00fcnchen", "hello", "pay"])
def test_other_labels_resemble_nobody(label: str) -> None:
    """The brand's own spelling is not a look-alike, nor is an ordinary IDN."""
    assert by_skeleton(label) is None


@given(st.text(max_size=60))
def test_folding_settles(text: str) -> None:
    """Folded text has no invisible character, and it has a skeleton."""
    folded = fold(text)
    assert not any(unicodedata.category(c) == "Cf" for c in folded)
    assert isinstance(skeleton(text), str)


def _distance(left: str, right: str) -> int:
    """Return the optimal string alignment distance, by the textbook's table."""
    rows = [
        [i + j if i * j == 0 else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)
    ]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            swap = left[i - 1 : i] + left[i - 2 : i - 1] == right[j - 2 : j] and i > 1 and j > 1
            rows[i][j] = min(
                rows[i - 1][j] + 1,
                rows[i][j - 1] + 1,
                rows[i - 1][j - 1] + (left[i - 1] != right[j - 1]),
                rows[i - 2][j - 2] + 1 if swap else len(left) + len(right),
            )
    return rows[-1][-1]


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_edit_is_what_the_textbook_says(left: str, right: str) -> None:
    """The short form agrees with the full table of distances."""
    assert is_one_edit(left, right) == (_distance(left, right) == 1)


@given(st.text(max_size=600), st.integers(0, 600), st.integers(0, 600))
def test_excerpts_fit_and_can_be_shown(text: str, start: int, length: int) -> None:
    """At most 200 characters, on one line, without control or bidirectional characters."""
    for shown in (excerpt(text), around(text, start, start + length)):
        assert len(shown) <= 200
        assert shown.isprintable()


@given(st.text(max_size=80))
def test_taking_a_url_apart_never_raises(url: str) -> None:
    """Pages print any rubbish as a URL."""
    assert split(url).url == url
    assert split(f"http://{url}").url == f"http://{url}"
