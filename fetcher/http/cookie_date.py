"""Parses the dates of cookies, as tolerantly as RFC 6265 (section 5.1.1) requires."""

import datetime as dt
import re

#: All but the delimiters. Written as what they are not, since a class of all other characters takes
#: 2 ms to compile.
_TOKEN = re.compile(r"[^\x00-/;-@\[-`{-~]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?\Z")
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?\Z")
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?\Z")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Years with two digits: up to 69 they belong to this century.
_CENTURY, _PIVOT = 100, 70
#: The first year of Chromium's clock; earlier dates are past in any case.
_FIRST_YEAR = 1601


def parse_cookie_date(text: str) -> float | None:
    """Return the time in seconds since 1970; None if the text is not a date."""
    clock = day = month = year = None
    for token in _TOKEN.findall(text):
        if clock is None and (match := _TIME.match(token)):
            clock = [int(part) for part in match.groups()]
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < _CENTURY:
        year += 2000 if year < _PIVOT else 1900
    try:
        hour, minute, second = clock
        year = max(year, _FIRST_YEAR)
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None
