"""Hostile pages and certificates cannot prevent the fetcher from reporting them."""

import datetime as dt
import ipaddress
import random
import warnings
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fetcher.http.certificate import describe
from fetcher.page.dom import read_dom
from fetcher.page.evidence import ParsedPage
from fetcher.page.patterns import read_with_patterns
from safeurl.model.report import EvidenceLine, Hop, Tls, encode_line
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult

_URL = "https://shop.example/"
#: Characters whose lower-case, upper-case or normalized form is longer, marks without width,
#: surrogates, noncharacters, digits outside of ASCII, and quotes.
_ODD = "\u0130\u0149\u01f0\u1e9e\u00df\ufb03\ufdfa\u0390\u0345\x00\x1f\x7f\x85\xa0\u2028\ufeff"
_ODD += "\ud800\udfff\ufdd0\uffff\U0010ffff\u0663\u00b2\u2160:%\\|^{}[]<>&;'\"=/ \t\n#"
_LIMITS = (511, 512, 513, 600, 4097, 8193)


def _taken(line: EvidenceLine) -> None:
    """Check that a worker accepts the line."""
    reader = ReportReader("s", 1)
    assert reader.feed(encode_line(line)) is not SinkResult.REFUSED, reader.fault_detail


def _readings(html: str) -> Iterator[ParsedPage]:
    yield read_dom(html, _URL)
    yield read_with_patterns(html, _URL)


def _page(value: str) -> str:
    quoted = value.replace("&", "&amp;").replace('"', "&quot;")
    return (
        f'<html lang="{quoted}"><title>{value}</title><base href="/{quoted}/">'
        f'<meta name=description content="{quoted}"><meta name=generator content="{quoted}">'
        f'<meta http-equiv=refresh content="{quoted}"><link rel=canonical href="{quoted}">'
        f'<meta http-equiv=refresh content="3;url={quoted}"><link rel=icon href="{quoted}">'
        f'<script src="{quoted}"></script><iframe src="{quoted}" width="{quoted}"></iframe>'
        f'<a href="{quoted}">{value}</a><a href="https://{quoted}/">{value}</a>'
        f'<!-- saved from url {value} --><form action="{quoted}" method="{quoted}">'
        f'<input type=password name=pw><input type="{quoted}" name="{quoted}" '
        f'placeholder="{quoted}"><button type="{quoted}"></button></form><p>{value}</p>'
    )


@pytest.mark.parametrize("size", _LIMITS)
@pytest.mark.parametrize("char", _ODD, ids=ascii)
def test_no_character_makes_a_report_invalid(char: str, size: int) -> None:
    """A page cannot make the worker reject its own evidence, including that of a password field."""
    for parsed in _readings(_page(char * size)):
        _taken(EvidenceLine(page=parsed.page))


@given(st.text(st.sampled_from(_ODD + "ab0") | st.characters(), max_size=60), st.integers(1, 400))
def test_no_text_makes_a_report_invalid(text: str, times: int) -> None:
    """Any text is valid in every place where a page can put text."""
    for parsed in _readings(_page(text * times)):
        _taken(EvidenceLine(page=parsed.page))


def _certificate() -> bytes:
    """Return a certificate with every kind of name that the evidence contains."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "shop.example"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "AT"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shop"),
        ]
    )
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("shop.example"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.UniformResourceIdentifier("https://shop.example/"),
            x509.RFC822Name("a@shop.example"),
            x509.DirectoryName(name),
            x509.RegisteredID(NameOID.COMMON_NAME),
        ]
    )
    since = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since)
        .not_valid_after(since + dt.timedelta(days=90))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def test_no_certificate_makes_a_hop_invalid() -> None:
    """A certificate may contain any bytes; fields that cannot be read stay empty."""
    chance = random.Random(10)  # noqa: S311 - the same certificates in every run
    der = _certificate()
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of each oddity that it takes
        for _ in range(4_000):
            odd = bytearray(der)
            for _ in range(chance.randint(1, 2)):
                odd[chance.randrange(len(odd))] = chance.choice((0, 0x0C, 0x1E, 0x80, 0xFF))
            details = describe(bytes(odd))
            read += "not_after" in details
            _taken(EvidenceLine(hop=Hop(url=_URL, tls=Tls(version="TLSv1.3", **details))))
    assert read > 100  # enough of them are still certificates
