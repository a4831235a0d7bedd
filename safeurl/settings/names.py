"""Finds misspelt names of settings.

A misspelt setting must be reported, because the default would be used instead: sandboxes could then
reach addresses that the operator believes to be denied.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import Final

from safeurl.settings.core import SETTING_NAMES
from safeurl.settings.file import VARIABLE

#: All names that commands read.
_OURS: Final = (*sorted(SETTING_NAMES), VARIABLE)
#: In a settings file, names with these prefixes are settings. Other programs use the prefixes of
#: the other settings (API_, REDIS_, LOG_, …) too.
_FILE_PREFIXES: Final = ("EGRESS_", "FETCHER_", "SAFEURL_", "SANDBOX_", "TURSO_", "WORKER_")
#: A process's environment has variables of all programs; only SafeURL uses this prefix.
_OWN_PREFIX: Final = "SAFEURL_"
_PLAIN: Final = re.compile("[A-Za-z0-9_]*")
#: Greek and Cyrillic capitals that look like Latin ones, which replace them for the comparison.
_LATIN: Final = str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
    "\u04ae\u050c\u051a\u051c",
    "ABEZHIKMNOPTYXABESIJKMHOPCTYXYGQW",
)
#: Variables that the scripts and tests of this project read.
_TOOLS: Final = frozenset({"SAFEURL_BASE_IMAGE", "SAFEURL_CHAOS_TREE", "SAFEURL_SQLD"})
#: Variables of hosting platforms and other programs that differ from ours by one edit.
_OTHERS: Final = frozenset({"LOGLEVEL", "REDISHOST", "REDISPASSWORD", "REDISPORT"})
#: Kubernetes sets these for every service of a namespace, also for one called `safeurl`.
_SERVICE_LINK: Final = re.compile(
    r"SAFEURL_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_LINKED_PORT: Final = re.compile(r"SAFEURL_([A-Z0-9_]+_)?PORT")
#: Names up to this length may differ by one edit, longer ones by two: `API_HOST` and `APP_PORT`
#: belong to two programs.
_SHORT: Final = 12
_MAX_EDITS: Final = 2
#: A first word up to this length with another letter is a different word, of another program:
#: `APP_HOST`, `APT_HOST`. A missing, additional or swapped letter is a typing error.
_SHORT_WORD: Final = 3
#: A name with another unit as its last word, or without a unit, means the same setting.
_UNITS: Final = frozenset(
    {"MS", "S", "SEC", "SECS", "SECONDS", "MINUTES", "KB", "MB", "MIB", "GB", "BYTES", "LIMIT"}
)
#: Words with the same meaning, by the word that settings use.
_SYNONYMS: Final = {
    "DENY": "BAN BANNED BLACKLIST BLOCK BLOCKED BLOCKLIST DENIED DENYLIST EXCLUDE EXCLUDED FORBID "
    "FORBIDDEN REFUSE REFUSED REJECT",
    "ALLOW": "ACCEPT ACCEPTED ALLOWED ALLOWLIST EXCEPT INCLUDE PERMIT PERMITTED WHITELIST",
    "CIDRS": "ADDRESSES CIDR IP IPS NETS NETWORKS RANGES SUBNETS",
    "PORTS": "PORT",
}
_CANONICAL: Final = {word: ours for ours, others in _SYNONYMS.items() for word in others.split()}
#: The prefix of the settings of the address policy and its limits. Such a name is distinct without
#: its prefix too, and its writer believes that a boundary is effective. The limits of sandboxes
#: have names that other programs use: `CPU_LIMIT`.
_BOUNDARY: Final = "EGRESS_"


def meant_in_file(name: str) -> str | None:
    """Return the setting that a name in a settings file misspells; None if it is not one."""
    if name in _OURS or name in _TOOLS:
        return None
    if near := _misspelt(name) or _of_other_unit(name) or _by_other_words(name):
        return near
    return _nearest(name) if _upper(name).startswith(_FILE_PREFIXES) else None


def meant_in_environment(name: str, value: str) -> str | None:
    """Return the setting that a variable misspells; None if it may be another program's."""
    if name in _OURS or name in _TOOLS or name in _OTHERS or not value:
        return None
    upper = _upper(name)
    if upper.startswith(_OWN_PREFIX):
        return None if _is_service_link(name, value) else _misspelt(name) or _nearest(name)
    near = _misspelt(name)
    if near is None and (upper.startswith(_FILE_PREFIXES) or upper in _DENIALS):
        return _by_other_words(name)
    if near is None or _letters(name) == _letters(near):
        return near
    # `APP_HOST` may be another program's name, `API_HSOT` may not.
    is_family = upper.split("_")[0] == near.split("_")[0] or not upper.isascii()
    return near if is_family or len(_letters(near)) > _SHORT else None


def faults_of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence about every variable that misspells a setting."""
    for name, value in sorted(environ.items()):
        if near := meant_in_environment(name, value):
            yield f"The environment: {not_a_setting(name, near)}"


def not_a_setting(name: str, near: str) -> str:
    """Return the sentence about a misspelt name; characters that are not ASCII are escaped."""
    seen = name.encode("ascii", "backslashreplace").decode()
    return f"{seen} is not a setting; the nearest is {near}."


def _misspelt(name: str) -> str | None:
    """Return the setting that equals the name except for case, invisible characters and edits."""
    letters = _letters(name)
    found = (
        (edits, each)
        for each, ours in _candidates(letters)
        if (edits := _edits(letters, ours, _max_edits(ours))) <= _max_edits(ours)
        and not _is_another_family(name, each)
    )
    return min(found, default=(0, None))[1]


def _candidates(letters: str) -> Iterator[tuple[str, str]]:
    """Yield the settings that may be few edits away, by their lengths and sets of letters.

    A process has a hundred variables, and each command checks them: to compute all distances would
    take too long.
    """
    mask = _mask(letters)
    for length in range(len(letters) - _MAX_EDITS, len(letters) + _MAX_EDITS + 1):
        for each, ours, theirs in _BY_LENGTH.get(length, ()):
            # An edit removes at most one letter and adds at most one.
            if (mask ^ theirs).bit_count() <= 2 * _max_edits(ours):
                yield each, ours


def _mask(letters: str) -> int:
    """Return the set of letters as bits; some letters have the same bit."""
    mask = 0
    for letter in letters:
        mask |= 1 << (ord(letter) & 63)
    return mask


def _by_other_words(name: str) -> str | None:
    """Return the setting with the same meaning in other words, perhaps without its prefix."""
    return _BY_WORDS.get(_canonical(_upper(name)))


def _canonical(upper: str) -> str:
    return "_".join(_CANONICAL.get(word, word) for word in upper.split("_"))


def _is_another_family(name: str, near: str) -> bool:
    ours = near.partition("_")[0]
    first, parted, _ = _upper(name).partition("_")
    theirs = first if parted else first[: len(ours)]
    return (
        len(theirs) == len(ours) <= _SHORT_WORD
        and theirs.isascii()  # other letters may imitate ours
        and sorted(theirs) != sorted(ours)
    )


def _max_edits(letters: str) -> int:
    return 1 if len(letters) <= _SHORT else _MAX_EDITS


def _nearest(name: str) -> str:
    upper = _canonical(_upper(name))
    # A name with our prefix before a setting's name, such as SAFEURL_API_PORT, means that setting.
    if upper.startswith(_OWN_PREFIX):
        bare = upper.removeprefix(_OWN_PREFIX)
        if found := _BY_WORDS.get(bare) or next(iter(get_close_matches(bare, _OURS, n=1)), None):
            return found
    family = [each for each in _OURS if _is_of_family(each, upper)] or _OURS
    return max(family, key=lambda each: _likeness(each, upper))


def _is_of_family(setting: str, upper: str) -> bool:
    return setting.partition("_")[0] == upper.partition("_")[0]


def _likeness(setting: str, upper: str) -> tuple[int, float]:
    """Return the number of common words of two names, and their similarity."""
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
    """Return the name in the form of settings: in capitals, with `_` between its words."""
    if _PLAIN.fullmatch(name):
        return name.upper().strip("_")
    plain = unicodedata.normalize("NFKC", name).upper().translate(_LATIN)
    return "".join("_" if c in "-. " else c for c in plain if c.isalnum() or c in "_-. ").strip("_")


def _letters(name: str) -> str:
    return _upper(name).replace("_", "")


def _by_words() -> Mapping[str, str]:
    """Return the settings by their words, and those of the boundary also without their prefix.

    The rest of a name is distinct only if it has two words and no other setting has the same rest.
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
#: If such a name were ignored, addresses would be open that the operator believes to be denied.
_DENIALS: Final = frozenset({"DENY_CIDRS", "DENY_PORTS"})


def _by_length() -> Mapping[int, list[tuple[str, str, int]]]:
    found: dict[int, list[tuple[str, str, int]]] = {}
    for each in _OURS:
        letters = _letters(each)
        found.setdefault(len(letters), []).append((each, letters, _mask(letters)))
    return found


#: Each setting with its letters for the comparison, and their set, by their number.
_BY_LENGTH: Final = _by_length()


def _edits(left: str, right: str, most: int) -> int:
    """Return the number of missing, additional, wrong and swapped letters.

    This is the optimal string alignment distance; the count ends above `most`.
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
