"""The tables that ship with the rules, as plain text files beside this module."""

from functools import cache
from pathlib import Path


@cache
def lines(name: str) -> tuple[str, ...]:
    """Return the lines of a table, comments and empty lines left out."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def words(name: str) -> frozenset[str]:
    """Return the words of a table whose lines hold several each."""
    return frozenset(word for line in lines(name) for word in line.split())
