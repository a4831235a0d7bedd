"""Media types by signature; character sets by byte order mark, header or declaration."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.content.charset import decode_text
from fetcher.content.sniff import find_charset, sniff_type


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ""),
        (b"  \n<!DOCTYPE HTML><p>", "text/html"),
        (b"<TITLE>x", "text/html"),
        (b"<!-- x --><html>", "text/html"),
        (b"<unknown>", "text/plain"),
        (b"<bogus>", "text/html"),
        (b"\xef\xbb\xbf<html>", "text/html"),
        ("\ufeff<html>".encode("utf-16-le"), "text/html"),
        (b'<?xml version="1.0"?>', "text/xml"),
        (b'{"a": 1}', "application/json"),
        (b"[1]", "application/json"),
        (b"plain text", "text/plain"),
        (b"BMW is a brand", "text/plain"),
        (b"MZ, the initials", "text/plain"),
        (b"BM\x00\x01", "image/bmp"),
        (b"MZ\x90\x00", "application/x-msdownload"),
        (b"\x7fELF\x02", "application/x-executable"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x01\x02", "application/octet-stream"),
    ],
)
def test_media_types_are_sniffed(data: bytes, kind: str) -> None:
    """Signatures come first, then text or binary data."""
    assert sniff_type(data) == kind


@pytest.mark.parametrize(
    ("data", "header", "name"),
    [
        (b"\xef\xbb\xbfx", "text/html; charset=koi8-r", "utf-8"),
        (b"\xff\xfex\x00", "", "utf-16le"),
        (b"x", "text/html; charset=KOI8-R", "koi8-r"),
        (b"x", 'text/html; charset="latin1"', "windows-1252"),
        (b"<meta charset=gbk>", "text/html", "gbk"),
        (b"<meta charset=utf-16>", "", "utf-8"),
        (b'<META content="text/html; charset=euc-jp" http-equiv=content-type>', "", "euc-jp"),
        (b'<META content="text/html; charset=euc-jp" http-equiv=x>', "", "windows-1252"),
        (b"<meta charset=koi8-r>", "text/html; charset=unknown", "koi8-r"),
        (b"<meta charset=koi8-r>", "text/plain", "windows-1252"),
        (b"<!-- <meta charset=koi8-r> -->", "", "windows-1252"),
        (b"<script>'<meta charset=koi8-r>'</script>", "", "windows-1252"),
        (b"<!--><meta charset=koi8-r>", "", "koi8-r"),
        (b"<meta charset='koi8-r", "", "windows-1252"),
        (b"<meta charset=x-user-defined>", "", "windows-1252"),
        (b"<?xml version='1.0' encoding='koi8-r'?>", "", "koi8-r"),
        (b"<p>" + b"x" * 1100 + b"<meta charset=koi8-r>", "", "windows-1252"),
        (b"<style>" + b"x" * 1100 + b"</style><meta charset=koi8-r>", "", "koi8-r"),
        (b"{}", "application/json", "utf-8"),
        (b"{}", "application/problem+json", "utf-8"),
        (b"", "text/html", "windows-1252"),
        (b"<x/>", "text/xml", "utf-8"),
        (b"<meta charset='koi8-r'/>", "application/xhtml+xml; a=b", "utf-8"),
        (b"<?xml encoding='koi8-r'?><meta charset='gbk'/>", "image/svg+xml", "koi8-r"),
        (b"<?xml encoding='klingon'?><meta charset='gbk'/>", "", "utf-8"),
        ("h\u00e9".encode(), "", "utf-8"),
        ("h\u00e9".encode()[:-1], "", "utf-8"),
        (b"h\xe9 x", "", "windows-1252"),
        (b"h\xe9 x", "text/html; charset=zip", "windows-1252"),
        (b"\x00\x01", "", ""),
    ],
)
def test_character_sets_are_found(data: bytes, header: str, name: str) -> None:
    """Byte order mark, header, declaration, guess: in this order; unknown labels are ignored."""
    assert find_charset(data, header) == name


@given(st.binary(max_size=200), st.text(max_size=60))
def test_any_bytes_become_text(data: bytes, header: str) -> None:
    """Python has a decoder for every name that is found."""
    name = find_charset(data, header)
    assert isinstance(decode_text(data, name), str)
    assert isinstance(sniff_type(data), str)


@pytest.mark.parametrize("label", ["gb2312", "sjis", "tis-620", "ks_c_5601-1987", "big5-hkscs"])
def test_every_label_has_a_decoder(label: str) -> None:
    """Python has a codec for every name of the Encoding Standard."""
    name = find_charset(b"x", f"text/html; charset={label}")
    assert decode_text(b"plain", name) == "plain"


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("windows-1252", b"\x81\x80", "\x81\u20ac"),
        ("windows-874", b"\x81\xa1\xdb", "\x81\u0e01\ufffd"),
        ("koi8-u", b"\xae\xbe", "\u045e\u040e"),
        ("windows-1255", b"\xca", "\u05ba"),
        ("gbk", b"\x81\x30\x81\x30", "\x80"),
        ("euc-kr", b"\x81\x41", "\uac02"),
        ("big5", b"\x88\x62", "\u00ca\u0304"),
        ("shift_jis", b"\x87\x40", "\u2460"),
        ("euc-jp", b"\xad\xa1\xfc\xe2\xa1\xc1", "\u2460\u9ad9\uff5e"),
        ("euc-jp", b"\xa9'x", "\ufffd'x"),
        ("gb18030", b"\x80\xa6\xd9", "\u20ac\ufe10"),
        ("euc-kr", b"\xfe\xff<", "\ufffd<"),
        ("x-mac-cyrillic", b"\x80", "\u0410"),
        ("macintosh", b"\xdb", "\u20ac"),
        ("iso-8859-8-i", b"\xe0", "\u05d0"),
        ("x-user-defined", b"\x80", "\uf780"),
        ("replacement", b"<p>x", "\ufffd"),
    ],
)
def test_bytes_are_read_by_the_standards_tables(charset: str, data: bytes, text: str) -> None:
    """The result is the standard's where Python's codec differs from it."""
    assert decode_text(data, charset) == text


def test_codecs_that_transform_data_are_unknown() -> None:
    """Python codecs that decompress or transform data are not available to a page."""
    for label in ("zip", "bz2", "base64", "rot13", "unicode_escape", "punycode", "idna", "utf-7"):
        codecs.lookup(label)
        assert find_charset(b"x", f"text/html; charset={label}") == "windows-1252"
