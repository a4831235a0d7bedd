"""The first inputs of fuzzing: valid ones and known attacks, which show the formats."""

import gzip
import hashlib
import io
import json
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import dns.flags
import dns.message
import dns.rrset

from safeurl.adapters.backup.archive import ArchiveWriter
from safeurl.adapters.backup.document import FORMAT, encode
from safeurl.model.records.backup import Manifest, Seal
from tests.fuzz import reading_seeds
from tests.support.vectors import CONFUSIONS, LITERALS

_SCHEMA: Final = Path(__file__).parents[2] / "schema.sql"
_NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)
_HOST: Final = b"Host: example.com\r\n"


def seeds(target: str) -> list[bytes]:
    """Return the first inputs of a target; KeyError if there is no such target."""
    return _SEEDS[target]()


def _archive() -> list[bytes]:
    database = b"\0" * 100
    manifest = Manifest(
        format=FORMAT,
        safeurl="0.1.0",
        created_at=_NOW,
        migrations=(1,),
        database_bytes=len(database),
        database_sha256=hashlib.sha256(database).hexdigest(),
    )
    stream = io.BytesIO()
    writer = ArchiveWriter(stream, _NOW)
    for name, data in (("manifest.json", encode(manifest)), ("safeurl.db", database)):
        writer.add(name, len(data), [data])
    seal = encode(Seal(artefacts=0, missing=1, sha256=writer.sha256))
    writer.add("seal.json", len(seal), [seal])
    writer.finish()
    return [stream.getvalue(), stream.getvalue()[:700]]


def _databases() -> list[bytes]:
    return [_database(""), _database("DROP TRIGGER audit_logs_no_update"), b"SQLite format 3\0"]


def _database(change: str) -> bytes:
    """Return a database of this version's schema, on small pages, after one change."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA page_size = 512")
            database.executescript(_SCHEMA.read_text(encoding="utf-8"))
            database.executescript(change)
        return path.read_bytes()


def _answers() -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    return [
        head + b"Content-Length: 5\r\n\r\nhello",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: z\r\n\r\n",
        head + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0),
        head + b"Content-Encoding: br\r\n\r\n\x0b\x02\x80hello\x03",
        head + b"Content-Encoding: deflate, gzip\r\n\r\n\x78\x9c\x03\0\0\0\0\x01",
        head + b"Content-Encoding: zstd\r\n\r\n\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\nbody",
        b"HTTP/1.1 302 Found\r\nLocation: //other.example\r\nRefresh: 0; url=/next\r\n\r\n",
    ]


def _heads() -> list[bytes]:
    odd = (
        b"HTTP/1.1  302Found\nLocation : /a\r\n folded\r\nodd line\r\n\r\n",
        b"\r\n\r\nhttp/1.0 200\rA: b\n\nbody",
        b'HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\nContent-Disposition: a; b="c,d"\r\n\r\nbody',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo, Chunked\r\nContent-Length: +5\r\n\r\n0\n\n",
    )
    return [reading_seeds.CUTS + data for data in (*_answers(), *odd)]


def _chunks() -> list[bytes]:
    bodies = (
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x=y\nhello\n000  \nA: b\nodd\n\n",
        b"ffffffffffffffff\r\n",
        b"5\r\nhello5\r\nworld\r\n",
        b"0x5\r\nhello\r\n",
    )
    return [reading_seeds.CUTS + data for data in bodies]


def _requests() -> list[bytes]:
    post = b"POST http://example.com/form HTTP/1.1\r\n" + _HOST
    return [
        b"GET http://example.com/ HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"GET http://u:p@example.com:8080/a?b#c HTTP/1.1\r\nProxy-Auth: x\r\n" + _HOST + b"\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n\x16\x03\x01",
        b"CONNECT [2001:4860:4860::8888]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        post + b"Content-Length: 3\r\n\r\nabc",
        post + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
        post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        post + b"Content-Length: 3\r\n\r\nabcGET http://b.example/ HTTP/1.1\r\n\r\n",
        b"GET http://example.com/ HTTP/2.0\r\n" + _HOST + b"\r\n",
        *(f"GET http://{host}/ HTTP/1.1\r\n\r\n".encode() for host in LITERALS),
    ]


def _dns_answers() -> list[bytes]:
    texts = (
        ("site.example.", "A", "93.184.216.34"),
        ("site.example.", "AAAA", "2606:2800:220:1::1"),
        ("site.example.", "CNAME", "other.example."),
        ("site.example.", "A", "127.0.0.1"),
        ("site.example.", "TXT", '"text"'),
    )
    found = [_dns_answer([text]) for text in texts]
    return [*found, _dns_answer([texts[2], ("other.example.", "A", "93.184.216.34")]), b""]


def _dns_answer(records: list[tuple[str, str, str]]) -> bytes:
    query = dns.message.make_query("site.example.", "A", use_edns=False)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    for name, kind, text in records:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, text))
    wire = answer.to_wire()
    question = len(query.to_wire())
    return wire[2:12] + wire[question:]


def _pages() -> list[bytes]:
    return [
        b"<!doctype html><title>Log in</title><form action=/in method=post><input type=password>",
        b'<meta charset=utf-16><meta http-equiv=refresh content="0; url=//x">',
        b"<base href=//y><a href=z>text</a>",
        b"<svg><title>t</title><foreignObject><form><input></form></foreignObject></svg>",
        b"<table><form><tr><td><input form=f></table></form><form id=f></form>",
        b"<iframe hidden src=a>",
        b"\xff\xfe<\0b\0>\0",
        b"\xef\xbb\xbf<p>x",
        b"<script>location='//e'</script><link rel=icon href=data:,>",
        b"<!-- saved from url=(0023)https://example.com/ --><template><form></template>",
    ]


def _reports() -> list[bytes]:
    hop = {"url": "http://example.com/", "status": 302, "location": "/next", "address": "192.0.2.1"}
    lines: list[dict[str, object]] = [
        {"type": "evidence", "hop": hop},
        {"type": "evidence", "page": {"title": "t", "forms": [{"has_password": True}]}},
        {"type": "evidence", "favicon": {"url": "http://e.test/i", "mmh3": -5}},
        {"type": "evidence", "refusal": {"host": "10.0.0.1", "port": 80, "rule": "private"}},
        {"type": "artefact", "kind": "favicon", "data": "aGVsbG8=", "last": True},
        {"type": "report", "scan": "s1", "attempt": 2, "outcome": "ok"},
    ]
    encoded = [json.dumps(line).encode() for line in lines]
    return [b"\n".join(encoded) + b"\n", *encoded, b'{"type":"later","x":[[[[]]]]}\n' + encoded[-1]]


def _scripts() -> list[bytes]:
    return [
        b"setTimeout(\"location.href='/plain'\",10)",
        b"window['loc'+'ation'].replace(atob('L2E='))",
        b"var a=['to','/'],u=a[1]+a[0];function go(x){location=x}window.onload=()=>go(u)",
        b"(function(w){w.location=`//e/${u}`})(window);if(top!=self){top.location='/x'}",
        b"document.forms[0].submit();f.action='/d';f.submit()",
        b"eval('loca'+'tion=String.fromCharCode(47,0x61)')//x",
        b"document.write('<meta http-equiv=refresh content=0;url=/to>');a=/[/]'/.test(b)?1:2",
        b"location='ot/'.split('').reverse().join('').replace(/t/g,'s').substr(0,2)+unescape('%u0041')",
        b"0; url='/next'",
        b"<p a='<noscript>'><noscript><!--</noscript>x-->",
    ]


def _urls() -> list[bytes]:
    texts = [*CONFUSIONS, *(f"http://{host}/" for host in LITERALS)]
    texts += [
        "hxxps://example[.]com/a(dot)b",
        "example.com:8443",
        "http://b\u00fccher.example/%zz?q#f",
        "http://example.com/x[.]y(dot)z",
    ]
    texts += [
        "//example.com",
        "?q",
        "#f",
        "https://u:p@xn--bcher-kva.example./",
        "http://a!$&'()*+,;=b.example/",
    ]
    return [text.encode("utf-8", "surrogatepass") for text in texts if len(text) < 200]


_SEEDS: Final[Mapping[str, Callable[[], list[bytes]]]] = MappingProxyType(
    {
        "answer": lambda: reading_seeds.whole_answers(_answers()),
        "archive": _archive,
        "cookie": reading_seeds.cookies,
        "database": _databases,
        "chunked_answer": _answers,
        "chunked_request": _requests,
        "dns_answer": _dns_answers,
        "html": _pages,
        "http2": reading_seeds.http2_frames,
        "media_type": reading_seeds.media_types,
        "pasted": lambda: [*reading_seeds.pastes(), *_urls()],
        "report": _reports,
        "request_head": _requests,
        "response_chunks": _chunks,
        "response_head": _heads,
        "script": _scripts,
        "settings_text": reading_seeds.settings_files,
        "url": _urls,
        "xml": reading_seeds.documents,
    }
)
