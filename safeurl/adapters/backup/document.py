"""The two small documents of a backup: what it holds, and that it is whole."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from safeurl.errors import RequestError

#: Grows when this code could not read what an older one wrote, or the other way round.
FORMAT = 1

MANIFEST_NAME = "manifest.json"
DATABASE_NAME = "safeurl.db"
SEAL_NAME = "seal.json"
#: More than this is no manifest; a migration costs three bytes of it.
MAX_DOCUMENT_BYTES = 64 * 1024

_BLOB_NAME = re.compile(r"artefacts/([0-9a-f]{2})/([0-9a-f]{62})", re.ASCII)

Document = TypeVar("Document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the backup holds; its first member."""

    format: int
    #: The version of SafeURL that took it.
    safeurl: str
    created_at: datetime
    #: Numbers of the migrations that the database has, ascending.
    migrations: tuple[int, ...]
    database_bytes: int
    database_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """That the backup is whole; its last member."""

    artefacts: int
    #: Artefacts that the database names and that were gone or damaged when the backup was taken.
    missing: int
    #: Over every byte of the file before this member.
    sha256: str


def encode(document: Manifest | Seal) -> bytes:
    """Return the document as a line of JSON."""
    return msgspec.json.encode(document) + b"\n"


def decode(data: bytes, kind: type[Document]) -> Document:
    """Read a document, or raise RequestError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestError("The backup is damaged: it does not say what it holds.") from exc


def require_known(data: bytes) -> None:
    """Raise RequestError when the manifest is of a format that this code does not know."""
    told = decode(data, dict[str, object]).get("format")
    if isinstance(told, int) and told != FORMAT:
        raise RequestError(
            f"The backup has format {told}, and this SafeURL knows {FORMAT} only. "
            "Restore it with the SafeURL that took it."
        )


def blob_name(sha256: str) -> str:
    """Return the member's name of an artefact."""
    return f"artefacts/{sha256[:2]}/{sha256[2:]}"


def blob_sha256(name: str) -> str | None:
    """Return which artefact a member is, or None when it is none."""
    match = _BLOB_NAME.fullmatch(name)
    return match[1] + match[2] if match else None
