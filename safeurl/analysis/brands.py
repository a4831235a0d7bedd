"""The brands that phishing imitates: their own hosts, and their names in titles and host names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from safeurl.analysis.data import lines, words
from safeurl.analysis.site import Site
from safeurl.analysis.text import fold, plain_letters, skeleton

#: The suffixes that `*` in the table means: .com and those of countries, without the suffixes whose
#: names were free of charge, where the name of a brand rarely belongs to the brand.
_COUNTRY = re.compile(
    r"com|(?!tk|ml|ga|cf|gq|cc|ws|pw|su)[a-z]{2}|(?:com|co|net|org|ne|or)\.[a-z]{2}"
)
_WORD = re.compile(r"\w+")
#: Shorter names are not compared, because they are similar to each other by chance.
MIN_SKELETON = 5
MIN_EDIT = 6


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand: its name, its own domains, and the words that name it."""

    name: str
    domains: frozenset[str]
    #: The brand's own labels, under the suffix of any country.
    labels: frozenset[str]
    titles: frozenset[str]
    #: Spellings in titles that are also common words.
    common_titles: frozenset[str]
    words: frozenset[str]
    common_words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Naming:
    """A brand named in a title."""

    brand: Brand
    #: True if the title has only the brand and words such as `login`.
    is_all: bool
    #: True if the name is written with look-alike letters.
    is_disguised: bool = False


@cache
def brands() -> tuple[Brand, ...]:
    """Return the table."""
    return tuple(_row(line) for line in lines("brands.tsv"))


def preload() -> None:
    """Read the table now, so that forked children share it."""
    _indexes()
    _spellings()


def owner_of(host: str, site: Site) -> Brand | None:
    """Return the brand that owns this host; a name that anybody can get from it does not count."""
    exact, countries, *_ = _indexes()
    if site.is_free_hosted and site.own_label:
        return None
    labels = host.split(".")
    for i in range(len(labels)):
        if found := exact.get(".".join(labels[i:])):
            return found
        if i + 1 < len(labels) and _COUNTRY.fullmatch(".".join(labels[i + 1 :])):
            return countries.get(labels[i])
    return None


def named_in(title: str) -> Naming | None:
    """Return the brand that a folded title names first, if any."""
    if (found := _match(title)) is not None:
        return found
    plain = plain_letters(title)
    found = _match(plain) if plain != title else None
    return Naming(found.brand, found.is_all, is_disguised=True) if found else None


def by_word(word: str) -> tuple[Brand, bool] | None:
    """Return the brand that a word of a host name names, and whether the word is a common one."""
    return _indexes()[2].get(word)


def by_skeleton(label: str) -> tuple[str, Brand] | None:
    """Return the brand word that the label is similar to; an equal word does not count."""
    if len(label) < MIN_SKELETON:
        return None
    found = _indexes()[3].get(skeleton(label))
    return found if found and found[0] != label else None


def long_words() -> Iterator[tuple[str, Brand]]:
    """Yield the uncommon brand words that are long enough to be recognised with a typing error."""
    return ((w, b) for w, (b, common) in _indexes()[2].items() if len(w) >= MIN_EDIT and not common)


@cache
def own_domains() -> dict[str, Brand]:
    """Return the brands by their own full domain names, with `.com` for the suffix `*`."""
    exact, countries, *_ = _indexes()
    return {f"{label}.com": brand for label, brand in countries.items()} | exact


def _row(line: str) -> Brand:
    name, domains, titles, spoken = line.split("\t")
    spellings = [fold(t) for t in titles.split(";")]
    return Brand(
        name,
        frozenset(d for d in domains.split() if not d.endswith(".*")),
        frozenset(d.removesuffix(".*") for d in domains.split() if d.endswith(".*")),
        frozenset(t for t in spellings if not t.startswith("~")),
        frozenset(t[1:] for t in spellings if t.startswith("~")),
        frozenset(w for w in spoken.split() if not w.startswith("~")),
        frozenset(w[1:] for w in spoken.split() if w.startswith("~")),
    )


_Indexes = tuple[
    dict[str, Brand], dict[str, Brand], dict[str, tuple[Brand, bool]], dict[str, tuple[str, Brand]]
]


@cache
def _indexes() -> _Indexes:
    table = brands()
    known = {w: (b, False) for b in table for w in b.words}
    known |= {w: (b, True) for b in table for w in b.common_words}
    looks = {skeleton(w): (w, b) for w, (b, common) in known.items() if not common}
    return (
        {d: b for b in table for d in b.domains},
        {label: b for b in table for label in b.labels},
        known,
        {look: found for look, found in looks.items() if len(look) >= MIN_SKELETON},
    )


@cache
def _spellings() -> tuple[re.Pattern[str], dict[str, tuple[Brand, bool]]]:
    known = {t: (b, False) for b in brands() for t in b.titles}
    known |= {t: (b, True) for b in brands() for t in b.common_titles}
    ordered = sorted(known, key=lambda t: (-len(t), t))
    # In a script without spaces, words have no boundaries.
    parts = [re.escape(t) if t[0] > "\u3000" else rf"(?<!\w){re.escape(t)}(?!\w)" for t in ordered]
    return re.compile("|".join(parts)), known


@cache
def _fillers() -> frozenset[str]:
    return words("title_words.txt")


def _match(title: str) -> Naming | None:
    pattern, known = _spellings()
    hit = pattern.search(title)
    if hit is None:
        return None
    brand, is_common = known[hit.group()]
    rest = _WORD.findall(pattern.sub(" ", title))
    is_all = _fillers().issuperset(rest)
    return Naming(brand, is_all) if is_all or not is_common else None
