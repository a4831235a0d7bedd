"""The two JSON documents of a backup: the manifest at its beginning, and the seal at its end."""

import re
from typing import TypeVar

import msgspec

from safeurl.errors import RequestError
from safeurl.model.records.backup import Manifest, Seal

#: Increased by each change that makes older and newer code unable to read each other's backups.
FORMAT = 1

MANIFEST_NAME = "manifest.json"
DATABASE_NAME = "safeurl.db"
SEAL_NAME = "seal.json"
#: The limit of a document; a manifest needs three bytes for each migration.
MAX_DOCUMENT_BYTES = 64 * 1024

_BLOB_NAME = re.compile(r"artefacts/([0-9a-f]{2})/([0-9a-f]{62})", re.ASCII)

Document = TypeVar("Document")


def encode(document: Manifest | Seal) -> bytes:
    """Return the document as a line of JSON."""
    return msgspec.json.encode(document) + b"\n"


def decode(data: bytes, kind: type[Document]) -> Document:
    """Decode a document, or raise RequestError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestError("The backup is damaged: its manifest or seal cannot be read.") from exc


def require_known(data: bytes) -> None:
    """Raise RequestError if this code does not know the format of the manifest."""
    found = decode(data, dict[str, object]).get("format")
    if isinstance(found, int) and found != FORMAT:
        raise RequestError(
            f"The backup has format {found}, and this SafeURL knows {FORMAT} only. "
            "Restore it with the SafeURL that wrote it."
        )


def blob_name(sha256: str) -> str:
    """Return the name of the member that holds an artefact."""
    return f"artefacts/{sha256[:2]}/{sha256[2:]}"


def blob_sha256(name: str) -> str | None:
    """Return the SHA-256 of the artefact in a member, or None if it holds no artefact."""
    match = _BLOB_NAME.fullmatch(name)
    return match[1] + match[2] if match else None
