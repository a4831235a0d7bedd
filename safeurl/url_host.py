"""Checks the host and the port of a URL after the parser has read them."""

import re
from enum import StrEnum
from typing import Final, NoReturn

from safeurl.address import AddressPolicy, judge_address, judge_port
from safeurl.errors import UrlRefusedError

_MAX_LABEL: Final = 63
_MAX_HOST: Final = 253

#: Names that are valid only on this machine or network, or outside the DNS (RFC 6761, 6762, 7686,
#: 8375; ICANN reserved `internal`; `localdomain` is used in hosts files).
_LOCAL_NAMES: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "home.arpa", "onion"}
)
#: The characters that a browser's parser accepts in a label and the DNS can hold (RFC 2181,
#: section 11): printable ASCII without the forbidden domain code points of the WHATWG URL Standard.
_LABEL: Final = re.compile(rf"[!\"$&'()*+,\-0-9;=_`a-z{{}}~]{{1,{_MAX_LABEL}}}")


class Reason(StrEnum):
    """The reasons to refuse a URL that are not rules of `safeurl.address`."""

    EMPTY = "empty"
    #: Text with several words or only punctuation where the host would be, and no scheme.
    NO_URL = "no_url"
    TOO_LONG = "too_long"
    ENCODING = "encoding"
    CONTROL_CHARACTER = "control_character"
    SCHEME = "scheme"
    EMPTY_HOST = "empty_host"
    HOST_INVALID = "host_invalid"
    SINGLE_LABEL = "single_label"
    LOCAL_NAME = "local_name"
    #: Different programs read different hosts in the URL.
    AMBIGUOUS = "ambiguous"


def refuse_host(host: str) -> NoReturn:
    """Raise UrlRefusedError for text that is not a host."""
    raise UrlRefusedError(
        Reason.HOST_INVALID, f"{host[:80]!r} is not a valid host name or address. Correct it."
    )


def check_literal(host: str, policy: AddressPolicy) -> None:
    """Raise UrlRefusedError for an address that the policy does not allow."""
    ruling = judge_address(host, policy)
    if not ruling.allowed:
        raise UrlRefusedError(
            ruling.rule,
            f"SafeURL does not connect to {host} ({ruling.rule}). Submit a public address, "
            "or allow this range in EGRESS_ALLOW_CIDRS.",
        )


def check_name(host: str) -> None:
    """Raise UrlRefusedError for a name that the public DNS cannot hold."""
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
            f"{host!r} is not a full host name, so this URL cannot be scanned. Submit it with its "
            "domain, as in www.example.com.",
        )


def check_port(port: int, policy: AddressPolicy) -> None:
    """Raise UrlRefusedError for a port that the policy does not allow."""
    ruling = judge_port(port, policy)
    if not ruling.allowed:
        raise UrlRefusedError(
            ruling.rule,
            f"SafeURL does not connect to port {port} ({ruling.rule}). Submit another port, "
            "or allow this one in EGRESS_ALLOW_PORTS.",
        )
