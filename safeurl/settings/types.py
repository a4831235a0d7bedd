"""The types of settings: how each is parsed from text and checked."""

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from safeurl.settings.uids import read_uids, write_uids


def _split(value: object) -> object:
    """Return `a, b` as a tuple; an empty text gives an empty tuple."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _cidr(value: str) -> str:
    """Return a valid address range in its shortest form."""
    return str(ipaddress.ip_network(value))


def _resolver(value: str) -> str:
    """Check `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`."""
    bare = value.count(":") > 1 and not value.startswith("[")
    parts = urlsplit(f"//[{value}]" if bare else f"//{value}")
    address = ipaddress.ip_address(parts.hostname or "")
    if parts.netloc.count("@") or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{value!r} is not an address with or without a port")
    port = 53 if parts.port is None else parts.port
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004 - IPv6


Cidrs = Annotated[tuple[Annotated[str, AfterValidator(_cidr)], ...], BeforeValidator(_split)]
Ports = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65535)], ...],
    BeforeValidator(_split),
]
Seconds = Annotated[tuple[Annotated[int, Field(ge=0, le=86_400)], ...], BeforeValidator(_split)]
Resolvers = Annotated[
    tuple[Annotated[str, AfterValidator(_resolver)], ...], BeforeValidator(_split)
]
#: A user's name or number.
_User = Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})$")]
Users = Annotated[tuple[_User, ...], BeforeValidator(_split)]
_HostName = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+|[0-9A-Fa-f:]+)$")]
Hosts = Annotated[tuple[_HostName, ...], BeforeValidator(_split)]


def _uids(value: str) -> str:
    """Return a valid range of user ids in its shortest form."""
    return write_uids(read_uids(value))


Uids = Annotated[str, AfterValidator(_uids)]


def _file(value: str) -> str:
    """Return the absolute path of a readable file; an empty text means no file."""
    if not value:
        return value
    path = Path(value).expanduser().absolute()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return str(path)


File = Annotated[str, AfterValidator(_file)]
