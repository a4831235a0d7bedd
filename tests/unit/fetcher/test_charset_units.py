"""Many invalid bytes are decoded by few calls, to the same text as one by one."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fetcher.content.charset  # noqa: F401 - it registers the error handlers

_NAMES = ("gb18030", "cp932", "euc_jp", "cp949", "big5hkscs")
#: Leads, trails, digits of four-byte sequences and bytes that no character set has.
_PIECES = (
    *(b"\x81", b"\x84", b"\x8e", b"\x8f", b"\x90", b"\xa1", b"\xa2", b"\xa4", b"\xc0", b"\xe3"),
    *(b"\x30", b"\x31", b"\x32", b"\x9a", b"\x80", b"\xa0", b"\xfd", b"\xfe", b"\xff"),
    *(b" ", b"\n", b"A", b"<", b"\x7f", b"\xe3\x32\x9a\x35", b"\x84\x31\xa4\x37", b"\x8f\xa2\xaf"),
)
_DATA = st.binary(max_size=200) | st.lists(st.sampled_from(_PIECES), max_size=200).map(b"".join)


@pytest.mark.parametrize("name", _NAMES)
@settings(max_examples=150, deadline=None)
@given(data=_DATA)
def test_units_decode_to_the_text_of_the_bytes_one_by_one(name: str, data: bytes) -> None:
    """The handler of single invalid units gives the expected text."""
    assert data.decode(name, f"safeurl-{name}") == data.decode(name, "safeurl-unit")


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize(
    "piece", [b"\xff", b"\xff ", b"\x81\x20\xff", b"\x8f\xff", b"\xfe\xfd\xff"]
)
def test_one_call_decodes_many_invalid_units(name: str, piece: bytes) -> None:
    """A call for each of a million would take seconds."""
    data = piece * 100
    error = UnicodeDecodeError(name, data, 0, 1, "invalid")
    handler = codecs.lookup_error(f"safeurl-{name}")
    text, end = handler(error)
    assert isinstance(end, int)
    assert end >= 48
    assert str(text) + data[end:].decode(name, "safeurl-unit") == data.decode(name, "safeurl-unit")
