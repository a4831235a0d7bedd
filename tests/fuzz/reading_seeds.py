"""The first inputs for formats that browsers or people write: the targets of issue reports."""

import gzip
import zlib

#: Where an input is cut, as `tests/fuzz/targets/packets.py` reads it.
CUTS = b"\x10\x20\x80\xf0"


def whole_answers(answers: list[bytes]) -> list[bytes]:
    """Return responses for every way of reading them, also with faults at the very end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: "
    page = b"<title>hello</title>" * 9
    packed = gzip.compress(page, mtime=0)
    ends = (
        head + b"gzip\r\n\r\n" + packed[:-4],
        head + b"gzip\r\n\r\n" + packed[:-8] + b"\0" * 8,
        head + b"gzip\r\n\r\n" + packed + packed,
        head + b"deflate\r\n\r\n" + zlib.compress(page),
        head + b"deflate\r\n\r\n" + zlib.compress(page)[2:-4],
        b"ICY 200 OK\r\n\r\n<p>",
        b"<p>no head</p>",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
    )
    return [CUTS + bytes((n % 4,)) + data for n, data in enumerate((*answers, *ends))]


def http2_frames() -> list[bytes]:
    """Return frames in short: size, type, flags, stream and payload."""
    settings, ok = b"\0\x04\0\0", b"\x01\x01\x04\x01\x88"
    body = b"\x05\0\x01\x01hello"
    return [
        CUTS + settings + ok + body,
        CUTS + settings + b"\0\x04\x01\0" + b"\x01\x01\x05\x01\x89",
        CUTS + settings + ok + b"\x08\0\x09\x01\x02hello\0\0" + b"\x04\x03\0\x01\0\0\0\x0d",
        CUTS + settings + ok + body + b"\x08\x07\0\0\0\0\0\x01\0\0\0\0",
        CUTS + settings + b"\x08\x07\0\0\0\0\0\0\0\0\0\x0d",
        CUTS
        + settings
        + b"\x01\x01\0\x01\x88"
        + b"\x08\x09\x04\x01\x40\x01a\x01b\x0f\x0d\x011"
        + body,
        CUTS + b"\x06\x04\0\0\0\x04\0\0\0\x01" + b"\x08\x06\0\0\0\0\0\0\0\0\0\0" + ok + body,
        CUTS + settings + b"\x05\x01\x04\x01\x08\x03103" + ok + body,
    ]


def cookies() -> list[bytes]:
    """Return Set-Cookie headers, one a line."""
    return [
        b"a=b; Path=/; Domain=example.com; Secure; HttpOnly\na=c\na=d",
        b"a=b; Expires=Wed, 09 Jun 2100 10:18:14 GMT\nb=; Max-Age=0\n=c; Max-Age=+99999999999999",
        b"\xe4\xf6=\xc3\xa4; domain=.example.com; path=a\nlonely\n  =; \n a \t=\t b ;",
        b"__Host-a=b; Secure; Path=/\n__Secure-c=d; secure\na=b; SameSite=None\n\x01=\x7f",
        b"a=b; expires=1/1/70 1:2:3 jan\na=b; domain=1.1.1.1\na=b; domain=1.1.1.1; partitioned",
    ]


def media_types() -> list[bytes]:
    """Return Content-Type headers, an empty line, and bytes of a body."""
    return [
        b"text/html; charset=windows-1251\n\n\xcf\xf0<p>",
        b'text/plain,text/html\ntext/html;charset="shift_jis"\n\n\x83\x65\xfa\xfc\x80',
        b"text/html\n\n<!--<meta charset>--><meta charset=gbk>\x81\x30",
        b'text/html;charset="utf-8;x"\n\n\xc3\xa4',
        b"text/xml\n\n<?xml version='1.0' encoding='euc-jp'?><a>\x8f\xa2\xb7\xa4\x8e",
        b'a/b;x="\\"",*/*, , text/html;charset=big5;charset=x\n\n\x87\x40\x88\x62\xfe',
        b"text/html;charset=iso-2022-jp\n\n\x1b$B%F\x1b(J\\~\x1b(I1",
        b"text/html;charset=x-user-defined\n\n\x80\xff",
        b"application/json;charset=utf-16\n\n\xd8\0\0a\xff",
        b"text/html;charset=gb18030\n\n\x84\x31\xa4\x37\x80\xff\x81\x35\xf4\x37",
        b"text/html;charset=euc-kr\n\n\xb0\xa1\xc8\x41\x80\xc9",
        b"\n\n\xef\xbb\xbf%PDF-\x89PNG\r\n\x1a\n",
    ]


def documents() -> list[bytes]:
    """Return XML documents."""
    return [
        b"<html xmlns='http://www.w3.org/1999/xhtml'><title>t</title><a href='b'>c</a></html>",
        b"<form xmlns='http://www.w3.org/1999/xhtml' action='a'><input type='password'/></form>",
        b"<svg xmlns='http://www.w3.org/2000/svg'><title>t</title><script>x</script></svg>",
        b"<a xmlns='http://www.w3.org/2000/svg' xmlns:b='http://www.w3.org/1999/xlink' b:href=''/>",
        b"<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;'><!ATTLIST a e CDATA '&d;'>]><a>&d;</a>",
        b"<!DOCTYPE a SYSTEM 'http://x/'><a>&nbsp;&x;</a>",
        b"<?xml version='1.0' encoding='utf-16'?><?xml-stylesheet type='text/xsl' href='x'?><a/>",
        b"<a><![CDATA[<b>]]><!-- c --></a><d>",
        b"\xff\xfe<\0a\0/\0>\0",
    ]


def settings_files() -> list[bytes]:
    """Return settings files, good ones and slips of the pen."""
    return [
        b"# ours\nWORKER_CONCURRENCY=4\nexport API_PORT='8080'\nREDIS_URL=\n",
        b"WORKER_CONCURENCY=4\r\nworker_concurrency=4\r\n",
        b'\xef\xbb\xbfAPI_HOST="a\\n${HOME:-x}"\n\xef\xbb\xbfEGRESS_DENY_CIDRS=10.0.0.0/8\n',
        b"EGRESS\xe2\x80\x8b_DENY_CIDRS=1.1.1.0/24 # c\nPATH\nexport A\n",
        b"A=1\nB=${A}${A:-x}${C:-y}${D\nE='${A}' #\n",
        b"'SAFEURL_STATE_DIR'=/a b\nSAFEURL_STATE_DIR\nSAFEURL_ENV_FILE=x\n",
        b"A=\"open\nB='x\\'y'\n=z\n\xff",
        b"LOG_LEVEL=debug\nALLOWED_PORTS=80,443\nTURSO_CONNECTION_URL=libsql://x\n\0",
    ]


def pastes() -> list[bytes]:
    """Return texts as they are pasted."""
    return [
        b"see hxxps://login[.]evil\\.com/a, and http://b.example/?u=http://c.example|d",
        b"a.example b.example;c[.]example",
        b'<https://a.example/x y> (www.b.example/(c)) "http://d.example"',
        b"[/] [?] hxxp[s]:// [hxxp]:// (:) &#x2F; hxxp:\\\\a.example",
        "\u201chttps://\u00fc.example\u201d\u2028http[:]//1.2.3[.]4\u00abftp://x\u00bb".encode(),
        b"http://u p@a.example/ a [.] b dot example/c d\n\nno url here\n",
        b"www.a.example,www.b.example,http://c.example:80/,,;|",
    ]
