"""Statements are compared in the way in which SQLite reads them."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.adapters.sql.schema.shipped import schema_sql, statements_of
from safeurl.adapters.sql.schema.sql_text import checks, definitions, links, normalized


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT\t\n 1 "),
        ("SELECT 1", "SELECT -- it's a comment\n 1"),
        ("SELECT 1", "SELECT/* ' */1"),
        ("SELECT 1", "SELECT /**/ 1 -- the end"),
        ("SELECT 1", "SELECT 1 /* never closed"),
    ],
)
def test_white_space_and_comments_make_no_difference(one: str, other: str) -> None:
    """The text of comments has no effect."""
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a  b'", "SELECT 'a b'"),
        ("SELECT 'a -- b'", "SELECT 'a'"),
        ("SELECT '''--', 1", "SELECT '''"),
        ('SELECT "a /* b */"', 'SELECT "a "'),
        ("SELECT `a  b`", "SELECT `a b`"),
        ("SELECT [a  b]", "SELECT [a b]"),
        ("SELECT 1 - -1", "SELECT 1"),
        ("SELECT ab", "SELECT a b"),
        ("SELECT 1\u00a0", "SELECT 1"),
        ("SELECT 1\0 + 1", "SELECT 1 + 1"),
        ("SELECT 1 /*/ + 1 -- */", "SELECT 1 + 1"),
        ("SELECT 1 /*", "SELECT 1"),
    ],
)
def test_all_else_makes_a_difference(one: str, other: str) -> None:
    """Quoted text counts, and so do characters that SQLite does not read as white space."""
    assert normalized(one) != normalized(other)


_PIECES = ("'", '"', "--", "/*", "*/", "\n", " ", "1", "+", "x", "[", "]", "`", "''", ",", "(")


@given(st.lists(st.sampled_from(_PIECES), max_size=12))
def test_a_normalized_statement_means_the_same(pieces: list[str]) -> None:
    """SQLite accepts both or neither, and both give the same values."""
    sql = f"SELECT 1 {''.join(pieces)}"
    assert _values(sql) == _values(normalized(sql))
    assert normalized(normalized(sql)) == normalized(sql)


def _values(sql: str) -> object:
    database = sqlite3.connect(":memory:")
    try:
        return database.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return None
    finally:
        database.close()


def test_the_parts_of_a_table_are_found() -> None:
    """Columns, constraints with their own commas and brackets, and the text after them."""
    sql = "CREATE TABLE t (a TEXT, b TEXT DEFAULT ',)', CONSTRAINT c CHECK (a IN (1, ')'))) STRICT"
    assert definitions(sql) == [
        "a TEXT",
        "b TEXT DEFAULT ',)'",
        "CONSTRAINT c CHECK (a IN (1, ')'))",
        "STRICT",
    ]
    assert checks(sql) == {"c": "(a IN (1, ')'))"}


def test_every_rule_of_the_schema_is_found() -> None:
    """As many CHECKs and foreign keys as `schema.sql` has."""
    tables = [normalized(sql) for sql in statements_of(schema_sql()) if "CREATE TABLE" in sql]
    found = [name for sql in tables for name in checks(sql) | links(sql)]
    assert len(found) == sum(sql.count("CONSTRAINT ") for sql in tables)
    assert len(set(found)) == len(found)
