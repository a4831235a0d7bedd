"""Response heads and chunked bodies: the same in any split, and read as Chromium documents it."""

from fetcher.http.framing import body_reader, conflicting_header, framing_anomalies
from fetcher.http.head import MAX_HEAD_BYTES, HeadReader, NotHttpError
from tests.fuzz.targets.packets import CUTS, splits

_STATUSES = range(2**31)


def fuzz_head(data: bytes) -> None:
    """Check that a head and its body do not depend on the packets."""
    whole, *others = map(_read, splits(data[:CUTS], data[CUTS:]))
    assert all(other == whole for other in others), (whole, others)


def fuzz_chunks(data: bytes) -> None:
    """Check the same for input that is only chunks, after a valid head."""
    fuzz_head(data[:CUTS] + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data[CUTS:])


def _read(pieces: list[bytes]) -> tuple[object, ...]:
    reader, left = HeadReader(), iter(pieces)
    head = None
    try:
        for piece in left:
            if (head := reader.feed(piece)) is not None:
                break
        head = head or reader.end()
    except NotHttpError as error:
        return (str(error), reader.rest + b"".join(left))
    if head is None:
        return ()
    assert head.status in _STATUSES
    assert all(name.isascii() and name.isprintable() and name for name, _ in head.headers)
    assert sum(len(name) + len(value) for name, value in head.headers) <= MAX_HEAD_BYTES
    body = body_reader(head)
    found = b"".join(map(body.feed, (reader.rest, *left)))
    assert len(found) <= sum(map(len, pieces))
    assert not (body.fault and body.is_complete)
    return (
        *(head, tuple(framing_anomalies(head)), conflicting_header(head), found),
        *(body.is_complete, body.may_end_with_connection, body.fault, tuple(body.anomalies)),
    )
