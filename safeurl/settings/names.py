"""Names that are no setting of ours but were meant to be one.

A misspelt setting must not go unheard, since a default would be in force instead: sandboxes would
reach what somebody believes to be denied.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import Final

from safeurl.settings.core import SETTING_NAMES
from safeurl.settings.file import VARIABLE

#: All names that mean something to a command.
_OURS: Final = (*sorted(SETTING_NAMES), VARIABLE)
#: In a settings file whatever begins so was meant for us. The beginnings of the other settings
#: (API_, REDIS_, LOG_, …) are in use elsewhere too.
_FILE_PREFIXES: Final = ("EGRESS_", "FETCHER_", "SAFEURL_", "SANDBOX_", "TURSO_", "WORKER_")
#: A process's environment holds names of every program: only this beginning is nobody else's.
_OWN_PREFIX: Final = "SAFEURL_"
_PLAIN: Final = re.compile("[A-Za-z0-9_]*")
#: Greek and Cyrillic capitals that look like Latin ones. A slip may hide two of them, not a word.
_LATIN: Final = str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
    "\u04ae\u050c\u051a\u051c",
    "ABEZHIKMNOPTYXABESIJKMHOPCTYXYGQW",
)
#: What the scripts and tests of this project read.
_TOOLS: Final = frozenset({"SAFEURL_BASE_IMAGE", "SAFEURL_CHAOS_TREE", "SAFEURL_SQLD"})
#: What hosting platforms and other programs set for every process, one slip away from ours.
_OTHERS: Final = frozenset({"LOGLEVEL", "REDISHOST", "REDISPASSWORD", "REDISPORT"})
#: Kubernetes sets these for every service of a namespace, one that is called `safeurl` too.
_SERVICE_LINK: Final = re.compile(
    r"SAFEURL_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_LINKED_PORT: Final = re.compile(r"SAFEURL_([A-Z0-9_]+_)?PORT")
#: Names up to this length may differ by one slip, longer ones by two: `API_HOST` and `APP_PORT`
#: are two programs' names.
_SHORT: Final = 12
_MOST_SLIPS: Final = 2
#: A first word up to this length with another letter in it is another word, and its program's own:
#: `APP_HOST`, `APT_HOST`. A letter too few, too many or swapped makes no word.
_SHORT_WORD: Final = 3
#: A name whose last word only says another unit, or none, means the same setting.
_UNITS: Final = frozenset(
    {"MS", "S", "SEC", "SECS", "SECONDS", "MINUTES", "KB", "MB", "MIB", "GB", "BYTES", "LIMIT"}
)
#: Words that mean the same in a name, by the one that settings use.
_SYNONYMS: Final = {
    "DENY": "BAN BANNED BLACKLIST BLOCK BLOCKED BLOCKLIST DENIED DENYLIST EXCLUDE EXCLUDED FORBID "
    "FORBIDDEN REFUSE REFUSED REJECT",
    "ALLOW": "ACCEPT ACCEPTED ALLOWED ALLOWLIST EXCEPT INCLUDE PERMIT PERMITTED WHITELIST",
    "CIDRS": "ADDRESSES CIDR IP IPS NETS NETWORKS RANGES SUBNETS",
    "PORTS": "PORT",
}
_CANONICAL: Final = {word: ours for ours, others in _SYNONYMS.items() for word in others.split()}
#: The settings of the address policy and its limits. Without this beginning such a name is still
#: distinct, and whoever writes it believes that a boundary is in force. The limits of sandboxes
#: are called like those of other programs: `CPU_LIMIT`.
_BOUNDARY: Final = "EGRESS_"


def meant_in_file(name: str) -> str | None:
    """Return the setting that a name in a settings file was meant to be; None if it is none."""
    if name in _OURS or name in _TOOLS:
        return None
    if near := _near(name) or _of_other_unit(name) or _by_other_words(name):
        return near
    return _nearest(name) if _upper(name).startswith(_FILE_PREFIXES) else None


def meant_in_environment(name: str, value: str) -> str | None:
    """Return the setting that a variable was meant to be; None if it may be another program's."""
    if name in _OURS or name in _TOOLS or name in _OTHERS or not value:
        return None
    upper = _upper(name)
    if upper.startswith(_OWN_PREFIX):
        return None if _is_service_link(name, value) else _near(name) or _nearest(name)
    near = _near(name)
    if near is None and (upper.startswith(_FILE_PREFIXES) or upper in _DENIALS):
        return _by_other_words(name)
    if near is None or _letters(name) == _letters(near):
        return near
    # `APP_HOST` is a program's own name, `API_HSOT` is not.
    is_family = upper.split("_")[0] == near.split("_")[0] or not upper.isascii()
    return near if is_family or len(_letters(near)) > _SHORT else None


def faults_of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Name every variable that was meant to be a setting, and which one."""
    for name, value in sorted(environ.items()):
        if near := meant_in_environment(name, value):
            yield f"The environment: {told(name, near)}"


def told(name: str, near: str) -> str:
    """Return the sentence about a name that is no setting; what cannot be seen in it is escaped."""
    seen = name.encode("ascii", "backslashreplace").decode()
    return f"{seen} is no setting; the nearest is {near}."


def _near(name: str) -> str | None:
    """Return the setting that the name equals but for case, invisible characters and slips."""
    letters = _letters(name)
    found = (
        (slips, each)
        for each, ours in _alike(letters)
        if (slips := _slips(letters, ours, _most(ours))) <= _most(ours)
        and not _is_another_family(name, each)
    )
    return min(found, default=(0, None))[1]


def _alike(letters: str) -> Iterator[tuple[str, str]]:
    """Yield the settings that so few slips may lead to, by length and by which letters there are.

    A process has a hundred variables, and each command looks at them: distances cost too much.
    """
    mask = _mask(letters)
    for length in range(len(letters) - _MOST_SLIPS, len(letters) + _MOST_SLIPS + 1):
        for each, ours, theirs in _BY_LENGTH.get(length, ()):
            # A slip takes one letter away and puts one in, at most.
            if (mask ^ theirs).bit_count() <= 2 * _most(ours):
                yield each, ours


def _mask(letters: str) -> int:
    """Return which letters there are, as bits; some share one."""
    mask = 0
    for letter in letters:
        mask |= 1 << (ord(letter) & 63)
    return mask


def _by_other_words(name: str) -> str | None:
    """Return the setting that says the same in other words, or with its first word."""
    return _BY_WORDS.get(_canonical(_upper(name)))


def _canonical(upper: str) -> str:
    return "_".join(_CANONICAL.get(word, word) for word in upper.split("_"))


def _is_another_family(name: str, near: str) -> bool:
    ours = near.partition("_")[0]
    first, parted, _ = _upper(name).partition("_")
    theirs = first if parted else first[: len(ours)]
    return (
        len(theirs) == len(ours) <= _SHORT_WORD
        and theirs.isascii()  # or it was to look like ours
        and sorted(theirs) != sorted(ours)
    )


def _most(letters: str) -> int:
    return 1 if len(letters) <= _SHORT else _MOST_SLIPS


def _nearest(name: str) -> str:
    upper = _canonical(_upper(name))
    # Who puts our name before a setting's, as SAFEURL_API_PORT, means that setting.
    if upper.startswith(_OWN_PREFIX):
        bare = upper.removeprefix(_OWN_PREFIX)
        if found := _BY_WORDS.get(bare) or next(iter(get_close_matches(bare, _OURS, n=1)), None):
            return found
    family = [each for each in _OURS if _is_of_family(each, upper)] or _OURS
    return max(family, key=lambda each: _likeness(each, upper))


def _is_of_family(setting: str, upper: str) -> bool:
    return setting.partition("_")[0] == upper.partition("_")[0]


def _likeness(setting: str, upper: str) -> tuple[int, float]:
    """Return how many words two names share, and how alike they are otherwise."""
    shared = set(setting.split("_")) & set(upper.split("_"))
    return len(shared), SequenceMatcher(None, upper, setting).ratio()


def _of_other_unit(name: str) -> str | None:
    upper = _upper(name)
    if "_" not in upper:
        return None
    return next((each for each in _OURS if _stem(each) == _stem(upper)), None)


def _stem(name: str) -> str:
    words = name.split("_")
    while len(words) > 1 and words[-1] in _UNITS:
        words.pop()
    return "_".join(words)


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return bool(_LINKED_PORT.fullmatch(name)) and "://" in value


def _upper(name: str) -> str:
    """Return the name as it was meant to look: in capitals, its words parted by `_`."""
    if _PLAIN.fullmatch(name):
        return name.upper().strip("_")
    plain = unicodedata.normalize("NFKC", name).upper().translate(_LATIN)
    return "".join("_" if c in "-. " else c for c in plain if c.isalnum() or c in "_-. ").strip("_")


def _letters(name: str) -> str:
    return _upper(name).replace("_", "")


def _by_words() -> Mapping[str, str]:
    """Return the settings by their words, and those of the boundary also without their first word.

    What is left then is distinct only if it has two words, and no other setting ends so.
    """
    tails = [each.partition("_")[2] for each in _OURS]
    found = {
        _canonical(tail): each
        for each, tail in zip(_OURS, tails, strict=True)
        if each.startswith(_BOUNDARY) and "_" in tail and tails.count(tail) == 1
    }
    return found | {_canonical(each): each for each in _OURS}


#: Each setting by its words; see `_by_words`.
_BY_WORDS: Final = _by_words()
#: What somebody believes to be denied is open if such a name passes, also in the environment.
_DENIALS: Final = frozenset({"DENY_CIDRS", "DENY_PORTS"})


def _by_length() -> Mapping[int, list[tuple[str, str, int]]]:
    found: dict[int, list[tuple[str, str, int]]] = {}
    for each in _OURS:
        letters = _letters(each)
        found.setdefault(len(letters), []).append((each, letters, _mask(letters)))
    return found


#: Each setting, what is compared of it, and which letters it has.
_BY_LENGTH: Final = _by_length()


def _slips(left: str, right: str, most: int) -> int:
    """Return how many letters were left out, put in, mistaken or swapped with their neighbour.

    The optimal string alignment distance; more than `most` is not counted to its end.
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            best = min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        if min(*row, *last) > most:
            return most + 1
        before, last = last, row
    return last[-1]
