"""Bodies with an unusual Content-Encoding or with an error at their end."""

import gzip
import zlib

import brotli  # type: ignore[import-untyped]  # the package ships no types
import zstandard

from tests.browser.case import LOGIN, Case, make_response

_TEXT = LOGIN.encode()
_WHOLE = gzip.compress(_TEXT, mtime=0)
#: The password field is in the second member.
_TWO = gzip.compress(_TEXT[:60], mtime=0) + gzip.compress(_TEXT[60:], mtime=0)
_FLAGS = b"\x1f" + _WHOLE[4:10] + b"\x03\0abcname\0comment\0\x12\x34"
_KEPT = "Chromium verifies zlib's checksum, but not gzip's; the fetcher keeps the text before it."


def _case(name: str, encoding: bytes, body: bytes, explained: str = "") -> Case:
    response = make_response(body, b"Content-Encoding: " + encoding)
    fields = ("url", "title", "password")
    return Case(name, {"/": response}, fields, quiet_s=0.2, explained=explained)


def _gzip(name: str, body: bytes) -> Case:
    return _case(name, b"gzip", body)


CASES = (
    _gzip("wrong CRC", _WHOLE[:-8] + bytes(4) + _WHOLE[-4:]),
    _gzip("wrong length", _WHOLE[:-4] + bytes(4)),
    _gzip("no trailer", _WHOLE[:-8]),
    _gzip("half a trailer", _WHOLE[:-3]),
    _gzip("two members", _TWO),
    _gzip("zeros after it", _WHOLE + bytes(100)),
    _gzip("a page after it", _WHOLE + _TEXT),
    _gzip("a broken member after it", _WHOLE + b"\x1f\x8b\x08broken"),
    _gzip("every flag", _WHOLE[:3] + _FLAGS + _WHOLE[10:]),
    _gzip("flags of no meaning", _WHOLE[:3] + b"\xe0" + _WHOLE[4:]),
    _gzip("cut within its header", _WHOLE[:7]),
    _gzip("not packed", _TEXT),
    _case("four times", b"gzip, gzip,gzip , gzip", gzip.compress(gzip.compress(
        gzip.compress(_WHOLE)
    ))),
    _case("beside an unknown one", b"gzip, foo", _TEXT),
    _case("beside an unknown one, packed", b"foo, gzip", _WHOLE),
    _case("beside identity", b"gzip, identity", _WHOLE),
    _case("beside nothing", b"gzip,", _WHOLE),
    _case("bare deflate", b"deflate", zlib.compress(_TEXT)[2:-4]),
    _case("deflate without its check sum", b"deflate", zlib.compress(_TEXT)[:-4]),
    _case("deflate with a wrong check sum", b"deflate", zlib.compress(_TEXT)[:-4] + bytes(4),
          _KEPT),
    _case("Brotli with more after it", b"br", brotli.compress(_TEXT) + _TEXT),
    _case("two frames of zstd", b"zstd",
          zstandard.compress(_TEXT[:60]) + zstandard.compress(_TEXT[60:])),
)  # fmt: skip
