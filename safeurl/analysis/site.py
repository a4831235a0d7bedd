"""Finds the site of a host name: the name below the public suffix, also below private suffixes.

Popularity and identity belong to the private host (`alice.github.io`), never to the registrable
domain, because two fifths of phishing pages are below a suffix that is listed as private.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from publicsuffixlist import PSLFILE, PublicSuffixList

from safeurl.analysis.data import words

_PRIVATE_MARK = "// ===BEGIN PRIVATE DOMAINS==="
#: Registries below a generic domain (`uk.com`, `eu.org`): listed as private, but names are sold.
_REGISTRY = re.compile(r"[a-z]{2}\.(?:com|net|org|kg)")


@dataclass(frozen=True, slots=True)
class Site:
    """The owner of a host name, as far as the name shows it."""

    #: The name that has one owner: `example.co.uk`, `alice.github.io`, or an address literal.
    name: str
    #: The labels before the name.
    labels: tuple[str, ...] = ()
    suffix: str = ""
    is_address: bool = False
    #: True if anybody can get such a name immediately and free of charge.
    is_free_hosted: bool = False

    @property
    def own_label(self) -> str:
        """Return the label that the owner chose."""
        return self.name.removesuffix(self.suffix).rstrip(".")


@cache
def _lists() -> tuple[PublicSuffixList, frozenset[str], frozenset[str]]:
    listing = Path(PSLFILE).read_text("utf-8")
    private = listing.partition(_PRIVATE_MARK)[2].splitlines()
    return (
        PublicSuffixList(listing.splitlines()),
        frozenset(line.strip() for line in private if line and not line.startswith("//")),
        words("free_hosts.txt"),
    )


def preload() -> None:
    """Read the lists now, so that forked children share them (they take about 0.1 s)."""
    _lists()


def site_of(host: str) -> Site:
    """Return the site of a lower-case host name or address literal."""
    if is_address(host):
        return Site(name=host, is_address=True)
    suffixes, private, own = _lists()
    labels = host.strip(".").split(".")
    free = next(
        (".".join(labels[i:]) for i in range(len(labels)) if ".".join(labels[i:]) in own), ""
    )
    if free:
        return _split(labels, free, is_free_hosted=True)
    suffix = suffixes.publicsuffix(host.strip(".")) or ""
    parent = suffix.partition(".")[2]
    listed = suffix in private or f"*.{parent}" in private
    return _split(labels, suffix, is_free_hosted=listed and _REGISTRY.fullmatch(suffix) is None)


def is_address(host: str) -> bool:
    """Return whether the host is an IP literal rather than a name."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _split(labels: Sequence[str], suffix: str, *, is_free_hosted: bool) -> Site:
    below = max(0, len(labels) - len(suffix.split(".")) - 1)
    name = ".".join(labels[below:])
    return Site(name, tuple(labels[:below]), suffix, is_free_hosted=is_free_hosted)
