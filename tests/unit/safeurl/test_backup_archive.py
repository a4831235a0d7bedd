"""The archive of a backup: files of any size are restored, and any bytes are read or refused."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.adapters.backup.archive import CHUNK, ArchiveReader, ArchiveWriter
from safeurl.adapters.backup.document import blob_name, blob_sha256, decode, encode
from safeurl.errors import RequestError
from safeurl.model.records.backup import Manifest, Seal
from tests.support.builders import NOW


def _written(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    writer = ArchiveWriter(stream, NOW)
    for name, data in contents.items():
        writer.add(name, len(data), [data])
    writer.finish()
    return stream.getvalue()


def _read_all(reader: ArchiveReader) -> None:
    while True:
        list(reader.chunks(reader.next()))


@given(st.lists(st.binary(max_size=1100), max_size=4))
def test_what_was_written_is_read(contents: list[bytes]) -> None:
    """By our reader and by Python's, in the same order, empty files included."""
    named = {f"file-{number}": data for number, data in enumerate(contents)}
    data = _written(named)
    reader = ArchiveReader(io.BytesIO(data))
    for name, content in named.items():
        member = reader.next()
        assert (member.name, member.size_bytes) == (name, len(content))
        assert b"".join(reader.chunks(member)) == content
    reader.finish()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == list(named)


def test_a_large_file_is_read_in_pieces() -> None:
    """No more than a chunk of it is in memory at a time."""
    reader = ArchiveReader(io.BytesIO(_written({"large": bytes(2 * CHUNK + 1)})))
    sizes = [len(chunk) for chunk in reader.chunks(reader.next())]
    assert sizes == [CHUNK, CHUNK, 1]


@given(st.binary(max_size=2048))
def test_hostile_bytes_raise_our_error_only(data: bytes) -> None:
    """A head, a manifest and a seal made of any bytes are read or refused."""
    with pytest.raises(RequestError):
        _read_all(ArchiveReader(io.BytesIO(data)))
    for kind in (Manifest, Seal):
        with pytest.raises(RequestError, match="its manifest or seal cannot be read"):
            decode(data, kind)


def test_documents_come_back() -> None:
    """Manifest and seal are read as they were written."""
    manifest = Manifest(
        format=1,
        safeurl="1.2.3",
        created_at=NOW,
        migrations=(1, 2),
        database_bytes=3,
        database_sha256="a" * 64,
    )
    seal = Seal(artefacts=1, missing=2, sha256="b" * 64)
    assert decode(encode(manifest), Manifest) == manifest
    assert decode(encode(seal), Seal) == seal


def test_only_blobs_have_names_of_blobs() -> None:
    """Nothing but two and 62 lower-case hex digits leads to a file."""
    sha256 = "0123456789abcdef" * 4
    name = blob_name(sha256)
    assert blob_sha256(name) == sha256
    others = (f"/{name}", f"./{name}", name.upper(), f"{name}0", name[:-1], f"{name}\n", "", "..")
    assert [blob_sha256(other) for other in others] == [None] * len(others)
