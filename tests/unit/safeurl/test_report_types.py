"""The possible values of a report's fields: no field of any type accepts a terminal's escapes."""

import hashlib
import json
import re
from collections.abc import Iterator

import pytest
from msgspec import inspect

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import ArtefactLine, Evidence, EvidenceLine, ReportLine
from safeurl.model.report_reader import ReportReader
from safeurl.state import Outcome

#: Escapes of C0 and C1, and line breaks, at each place of a text.
HOSTILE = tuple(
    form.format(mark)
    for mark in ("\x1b", "\x9b", "\n", "\r", "\x85", "\x00", "\x7f", "\x08")
    for form in ("{}[2J", "a{}", "1.1.1.1{}", "https://a.example/{}x", "{}")
)
TYPES = (EvidenceLine, ArtefactLine, ReportLine, Evidence, EgressEvidence)
SHA256 = hashlib.sha256(b"x").hexdigest()


def _texts(kind: inspect.Type, where: str) -> Iterator[tuple[str, inspect.StrType]]:
    """Yield every text that a type can contain, with its path."""
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                yield from _texts(field.type, f"{where}.{field.name}")
        case inspect.UnionType():
            for each in kind.types:
                yield from _texts(each, where)
        case inspect.VarTupleType():
            yield from _texts(kind.item_type, where)
        case inspect.TupleType():
            for each in kind.item_types:
                yield from _texts(each, where)
        case inspect.StrType():
            yield where, kind
        case inspect.AnyType() | inspect.DictType() | inspect.CustomType():
            raise TypeError(f"{where} can hold anything")
        case _:
            return  # numbers, truths, bytes and enumerations hold no text


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_no_field_takes_an_escape_or_a_line_break(kind: type) -> None:
    """Every field that there is, and every one that will be added."""
    fields = list(_texts(inspect.type_info(kind), kind.__name__))
    assert fields
    for where, text in fields:
        assert text.pattern is not None, where
        assert text.pattern.startswith("^"), where
        assert [each for each in HOSTILE if re.search(text.pattern, each)] == [], where


def _fault(line: dict[str, object]) -> Outcome | None:
    reader = ReportReader("s1", 1)
    reader.feed(json.dumps(line).encode() + b"\n")
    return reader.fault


def _hop(**fields: object) -> dict[str, object]:
    return {"type": "evidence", "hop": {"url": "https://a.example/", **fields}}


def _refusal(**fields: object) -> dict[str, object]:
    refused = {"host": "a", "port": 80, "rule": "private", **fields}
    return {"type": "evidence", "refusal": refused}


def _body(**fields: object) -> dict[str, object]:
    return {"type": "evidence", "body": {"wire_bytes": 1, "size_bytes": 1, **fields}}


@pytest.mark.parametrize(
    "line",
    [
        _hop(address="\x1b[2J"),
        _hop(address="1.1.1.1\n• COMPLETED"),
        _hop(address="1.1.1"),
        _hop(address="01.1.1.1"),
        _hop(address="1.1.1.256"),
        _hop(address="a.b"),
        _hop(address="::1%eth0"),
        _hop(address="2606:4700:0:0::1"),
        _hop(address="2606:4700::ABCD"),
        _hop(address=":cat:"),
        _hop(addresses=["1.1.1.1", "x"]),
        _hop(url="javascript:x"),
        _hop(url="https://a.example/ x"),
        _hop(via="Red irect"),
        _hop(http_version="1.1 \u202e"),
        _hop(headers=[["a b", "c"]]),
        _hop(headers=[["", "c"]]),
        _hop(headers=[["a", "b\x1b[1m"]]),
        _hop(tls={"version": "TLS \u200b"}),
        _hop(tls={"version": "TLSv1.3", "not_after": "tomorrow"}),
        _hop(tls={"version": "TLSv1.3", "sha256": "0" * 63}),
        _hop(tls={"version": "TLSv1.3", "serial": "[red]"}),
        _refusal(host="a b"),
        _refusal(host="\u202ea"),
        _refusal(rule="[bold]x"),
        _refusal(address="10.0.0"),
        _body(sha256="x" * 64),
        _body(sha256=SHA256.upper()),
        _body(sha256=SHA256, sniffed_type="text/html; x"),
        _body(sha256=SHA256, charset="utf 8"),
        {"type": "artefact", "kind": "body", "data": "", "media_type": "\u202etext/html"},
        {"type": "report", "scan": "s1", "attempt": 1, "outcome": "ok", "final_url": "x"},
        {"type": "report", "scan": "s1", "attempt": 1, "outcome": "ok", "detail": "a\nb"},
        {"type": "report", "scan": "s1", "attempt": 1, "outcome": "ok", "fetcher": "a b"},
    ],
    ids=ascii,
)
def test_what_is_not_of_its_fields_shape_is_malformed(line: dict[str, object]) -> None:
    """The rest of a report after such a line does not count."""
    assert _fault(line) is Outcome.REPORT_MALFORMED


@pytest.mark.parametrize(
    "line",
    [
        *(
            _hop(address=address, addresses=[address])
            for address in (
                *("1.1.1.1", "::", "2606:4700::1111", "::ffff:1.1.1.1", "::ffff:101:101"),
                *("::1.2.3.4", "::102:304", "64:ff9b::101:101"),
            )
        ),
        _hop(url="http://a\"b(.{c}.example/%20?[x]#\\'", via="meta_refresh"),
        _hop(headers=[["x-~!#$%&'*+.^_`|", "\u202e any text at all :cat: [red]"]]),
        _hop(tls={"version": "", "cipher": "", "alpn": "http/1.1", "serial": "-1f"}),
        _hop(tls={"version": "TLSv1.3", "not_before": "0001-01-01T00:00:00Z"}),
        _refusal(host="[fe80::1%25eth0]", address="", rule="host_invalid"),
        _body(sha256=SHA256, declared_type="application/vnd.ms-excel", charset="utf-16-le"),
    ],
    ids=ascii,
)
def test_what_an_honest_fetcher_writes_is_taken(line: dict[str, object]) -> None:
    """All spellings of an address that resolvers, Python and browsers print."""
    assert _fault(line) is None
