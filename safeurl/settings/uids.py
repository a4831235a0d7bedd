"""The user ids of the host for sandboxes: a range, of which each sandbox gets one id. Pure."""

from typing import Final

#: A range of 16-bit ids that systemd and Debian do not use. Below it are systemd's home and greeter
#: users (60001-60705), above it DynamicUser= (61184-65519) and nobody (65534). Ordinary accounts
#: end at 60000 (UID_MAX). Subordinate ids and ids of directories (LDAP, AD) begin at 65536 or
#: higher. 16-bit ids also exist in the user namespace of an engine that maps its users, which has
#: 65,536 ids.
DEFAULT_UIDS: Final = range(60706, 61184)

#: The highest id that an engine accepts for a container's user.
_HIGHEST: Final = 2**31 - 1
#: root, nobody (which other programs use too), and -1 in 16 bits, which means "unchanged".
_NEVER: Final = (0, 65534, 65535)


def read_uids(text: str) -> range:
    """Return the range `first-last`, both included; raise ValueError with the reason."""
    first, dash, last = text.partition("-")
    if not (dash and _is_number(first) and _is_number(last)):
        raise ValueError(f"{text!r} is not first-last, such as {write_uids(DEFAULT_UIDS)}")
    uids = range(int(first), int(last) + 1)
    if not uids or uids[-1] > _HIGHEST:
        raise ValueError(f"{text!r} is not a range of ids up to {_HIGHEST}")
    for uid in _NEVER:
        if uid in uids:
            raise ValueError(f"{text!r} holds {uid}, which is not for sandboxes")
    return uids


def write_uids(uids: range) -> str:
    """Return the range as text that `read_uids` can read."""
    return f"{uids[0]}-{uids[-1]}"


def _is_number(text: str) -> bool:
    # isdecimal alone accepts digits of other scripts; int() accepts signs, spaces and underscores.
    return text.isascii() and text.isdecimal()
