"""Which hosts and ports a URL may name, once a browser's parser has read them."""

import re
from enum import StrEnum
from typing import Final, NoReturn

from safeurl.address import AddressPolicy, judge_address, judge_port
from safeurl.errors import UrlRefusedError

_MAX_LABEL: Final = 63
_MAX_HOST: Final = 253

#: Names that mean something on this machine or network only, or outside the DNS (RFC 6761,
#: 6762, 7686, 8375; `internal` is ICANN's, `localdomain` stands in hosts files).
_LOCAL_NAMES: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "home.arpa", "onion"}
)
#: What a browser's parser leaves in a label and the DNS can hold (RFC 2181, section 11): all of
#: printable ASCII but the WHATWG URL Standard's forbidden domain code points.
_LABEL: Final = re.compile(rf"[!\"$&'()*+,\-0-9;=_`a-z{{}}~]{{1,{_MAX_LABEL}}}")


class Reason(StrEnum):
    """Why a URL is refused, besides the rules of `safeurl.address`."""

    EMPTY = "empty"
    #: Words, or marks, of which none is a host or has a scheme.
    NO_URL = "no_url"
    TOO_LONG = "too_long"
    ENCODING = "encoding"
    CONTROL_CHARACTER = "control_character"
    SCHEME = "scheme"
    EMPTY_HOST = "empty_host"
    HOST_INVALID = "host_invalid"
    SINGLE_LABEL = "single_label"
    LOCAL_NAME = "local_name"
    #: Programs disagree on which host the URL names.
    AMBIGUOUS = "ambiguous"


def refuse_host(host: str) -> NoReturn:
    """Refuse a host that is none."""
    raise UrlRefusedError(
        Reason.HOST_INVALID, f"{host[:80]!r} is not a valid host name or address. Correct it."
    )


def check_literal(host: str, policy: AddressPolicy) -> None:
    """Refuse an address that the policy does not allow."""
    ruling = judge_address(host, policy)
    if not ruling.allowed:
        raise UrlRefusedError(
            ruling.rule,
            f"SafeURL does not connect to {host} ({ruling.rule}). Submit a public address, "
            "or allow this range in EGRESS_ALLOW_CIDRS.",
        )


def check_name(host: str) -> None:
    """Refuse a name that the public DNS cannot hold."""
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        refuse_host(host)
    if any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES):
        raise UrlRefusedError(
            Reason.LOCAL_NAME,
            f"{host} is a name of the local machine, a local network or outside the DNS. "
            "Submit a public host name.",
        )
    if len(labels) == 1:
        raise UrlRefusedError(
            Reason.SINGLE_LABEL,
            f"{host!r} is not a full host name, so this is no URL to scan. Submit it with its "
            "domain, as in www.example.com.",
        )


def check_port(port: int, policy: AddressPolicy) -> None:
    """Refuse a port that the policy does not allow."""
    ruling = judge_port(port, policy)
    if not ruling.allowed:
        raise UrlRefusedError(
            ruling.rule,
            f"SafeURL does not connect to port {port} ({ruling.rule}). Submit another port, "
            "or allow this one in EGRESS_ALLOW_PORTS.",
        )
