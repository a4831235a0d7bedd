"""The types of the fields of evidence: text with bounds and a pattern, numbers with a range."""

from typing import Annotated

from msgspec import Meta, Struct

#: Free text without control characters of C0 or C1; the fetcher has replaced them by spaces.
TEXT = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
Short = Annotated[str, Meta(max_length=512, pattern=TEXT)]
Long = Annotated[str, Meta(max_length=4096, pattern=TEXT)]
#: A URL as a page or a server wrote it; it may be any text.
Url = Annotated[str, Meta(max_length=8192, pattern=TEXT)]
#: A URL that was opened: as `safeurl.url` returns it.
OpenedUrl = Annotated[str, Meta(max_length=8192, pattern=r"^(?:https?://[!-~]+)?\Z")]
#: An address as the system's functions print it; the report's reader checks it.
Address = Annotated[str, Meta(max_length=45, pattern=r"^[0-9a-f]*[:.][0-9a-f:.]+\Z")]
AddressOrNone = Annotated[str, Meta(max_length=45, pattern=r"^(?:[0-9a-f]*[:.][0-9a-f:.]+)?\Z")]
#: A host name, an address, or a refused text in its place: visible ASCII.
Host = Annotated[str, Meta(max_length=512, pattern=r"^[!-~]*\Z")]
#: A value of a closed list: an outcome, a rule.
Word = Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9_]*\Z")]
#: Texts about the violations of a response.
Anomalies = Annotated[tuple[Word, ...], Meta(max_length=32)]
#: An id of ours, or a name that libraries give to versions and ciphers.
Name = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_.:/+-]*\Z")]
#: A field name of HTTP (RFC 9110, 5.6.2).
Token = Annotated[str, Meta(max_length=512, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
Hex = Annotated[str, Meta(max_length=512, pattern=r"^-?[0-9a-f]*\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Sha256OrNone = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
MediaType = Annotated[
    str,
    Meta(max_length=255, pattern=r"^(?:[a-z0-9_!#$&^.+*-]+/[a-z0-9_!#$&^.+*-]+)?\Z"),
]
#: ISO 8601 with its offset.
Time = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^(?:[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}(?:\.[0-9]+)?"
        r"(?:Z|[+-][0-9]{2}:[0-9]{2}))?\Z",
    ),
]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Millis = Annotated[float, Meta(ge=0, le=1e9)]


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of all evidence types, which makes them strict."""
