"""The user ids of the host that sandboxes run as: a range, of which each has one. Pure."""

from typing import Final

#: The gap that both systemd and Debian leave among the ids of 16 bits: below it are systemd's
#: home and greeter users (60001-60705), above it DynamicUser= (61184-65519) and nobody (65534).
#: People's accounts end at 60000 (UID_MAX), subordinate ids and those of directories (LDAP, AD)
#: begin at 65536 or higher. Ids of 16 bits also exist in the user namespace of an engine that
#: maps its users, which is 65,536 ids wide.
DEFAULT_UIDS: Final = range(60706, 61184)

#: The highest id that an engine takes for a container's user.
_HIGHEST: Final = 2**31 - 1
#: root, nobody (whom other programs share), and -1 of 16 bits, which means "leave as it is".
_NEVER: Final = (0, 65534, 65535)


def read_uids(text: str) -> range:
    """Read `first-last`, both included; raise ValueError with the reason."""
    first, dash, last = text.partition("-")
    if not (dash and _is_number(first) and _is_number(last)):
        raise ValueError(f"{text!r} is not first-last, such as {write_uids(DEFAULT_UIDS)}")
    uids = range(int(first), int(last) + 1)
    if not uids or uids[-1] > _HIGHEST:
        raise ValueError(f"{text!r} is no range of ids up to {_HIGHEST}")
    for uid in _NEVER:
        if uid in uids:
            raise ValueError(f"{text!r} holds {uid}, which is not for sandboxes")
    return uids


def write_uids(uids: range) -> str:
    """Return the range as `read_uids` reads it."""
    return f"{uids[0]}-{uids[-1]}"


def _is_number(text: str) -> bool:
    # isdecimal alone takes other scripts' digits, and int() takes signs, spaces and underscores.
    return text.isascii() and text.isdecimal()
