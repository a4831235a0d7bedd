"""SQL text as SQLite reads it: quoted text, comments, and text in brackets."""

import re
from collections.abc import Iterator

#: Quoted text, a sequence of white space and comments, or one other character. As in SQLite's
#: tokenizer, an unclosed comment ends with the text, and a comment needs a character after its
#: opening. White space is SQLite's five characters. SQLite stops at a NUL, also inside a comment.
#: Here a NUL never belongs to a comment, so that it stays visible.
_PIECE = re.compile(
    r"""
    (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
    | (?P<space> (?: [ \t\n\f\r]+ | --[^\n\0]* | /\*(?=[^\0])[^\0]*?(?:\*/|\Z|(?=\0)) )+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_CHECK = re.compile(r"CONSTRAINT (?P<name>\w+) CHECK (?=\()")
_LINK = re.compile(
    r"(?P<column>\w+) TEXT NOT NULL (?:PRIMARY KEY )?"
    r"CONSTRAINT (?P<name>\w+) REFERENCES (?P<table>\w+) \((?P<target>\w+)\)"
)


def normalized(sql: str) -> str:
    """Return the statement with one space for each sequence of white space and comments.

    Quoted text stays unchanged. Two statements with equal results are equal for SQLite.
    """
    return "".join(" " if kind == "space" else text for kind, text in _pieces(sql)).strip(" ")


def definitions(sql: str) -> list[str]:
    """Return the columns and constraints of a normalized CREATE TABLE, and the text after them."""
    _, _, body = sql.partition("(")
    parts, depth = [""], 0
    for kind, text in _pieces(body):
        if kind == "other" and depth == 0 and text in ",)":
            parts.append("")
            continue
        depth += _step(kind, text)
        parts[-1] += text
    return [part for piece in parts if (part := piece.strip(" "))]


def checks(sql: str) -> dict[str, str]:
    """Return the named CHECK expressions of a normalized CREATE TABLE, each in its brackets."""
    return {match["name"]: _bracketed(sql[match.end() :]) for match in _CHECK.finditer(sql)}


def links(sql: str) -> dict[str, str]:
    """Return the named foreign keys of a normalized CREATE TABLE, as expressions true of a row."""
    return {
        match["name"]: f"({match['column']} IN (SELECT {match['target']} FROM {match['table']}))"  # noqa: S608 - words of our schema.sql
        for match in _LINK.finditer(sql)
    }


def _bracketed(sql: str) -> str:
    """Return the text from an opening bracket to its closing one."""
    found, depth = "", 0
    for kind, text in _pieces(sql):
        found += text
        depth += _step(kind, text)
        if depth == 0:
            break
    return found


def _step(kind: str, text: str) -> int:
    """Return the change of the depth of brackets by the piece."""
    if kind != "other":
        return 0
    return (text == "(") - (text == ")")


def _pieces(sql: str) -> Iterator[tuple[str, str]]:
    for match in _PIECE.finditer(sql):
        yield str(match.lastgroup), match[0]
