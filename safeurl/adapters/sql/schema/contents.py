"""Checks the rows of a database against the CHECKs and foreign keys of its tables.

SQLite evaluates a CHECK when a row is written. An attacker who removes the CHECK, writes and adds
it again leaves rows that the schema does not show. `PRAGMA integrity_check` would name only the
table, and accepts such rows in a database that was opened read-only.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from safeurl.adapters.sql.database import Row, Statement
from safeurl.adapters.sql.schema.check import SchemaObject, current
from safeurl.adapters.sql.schema.sql_text import checks, links
from safeurl.printable import counted

#: The rows of one statement, so that no response of a server takes long.
_PAGE = 5_000
#: The row ids that SQLite can assign.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Read = Callable[[Statement], Awaitable[list[Row]]]


class RuleCount:
    """The number of rows of a table that break each of its rules, counted in pages."""

    def __init__(self, table: str, rules: Mapping[str, str]) -> None:
        """Store the rules by their names, each as an expression in brackets."""
        self._table = table
        self._broken = dict.fromkeys(rules, 0)
        self._first = _LOWEST
        # A CHECK with the result NULL accepts the row. CASE is used because, like a CHECK and
        # unlike an operand, it does not call json_type() for text that json_valid() has refused.
        counts = [f"sum(CASE WHEN NOT {rule} THEN 1 END) AS {name}" for name, rule in rules.items()]
        self._sql = (
            f"SELECT max(row_id) AS last, {', '.join(counts)} FROM (SELECT rowid AS row_id, * "  # noqa: S608 - names and rules are those of our schema.sql
            f"FROM {table} WHERE rowid >= :first ORDER BY rowid LIMIT :limit)"
        )

    def next(self) -> Statement | None:
        """Return the next statement; None after every row was counted."""
        if self._first > _HIGHEST:
            return None
        return Statement(self._sql, {"first": self._first, "limit": _PAGE})

    def add(self, row: Row) -> None:
        """Add the result of the last statement."""
        for rule in self._broken:
            self._broken[rule] += int(row[rule] or 0)
        self._first = (_HIGHEST if row["last"] is None else int(row["last"])) + 1

    def faults(self) -> list[str]:
        """Yield a fault for each rule that rows break."""
        return [
            counted(count, f"row of {self._table} breaks", f"rows of {self._table} break")
            + f" the rule {rule}."
            for rule, count in self._broken.items()
            if count
        ]


#: A CHECK of the format of a time, which accepts any characters in the place of digits.
_TIME = re.compile(
    r"\((?P<column>\w+) GLOB '[?]{4}-[?]{2}-[?]{2}T[?]{2}:[?]{2}:[?]{2}[.][?]{6}Z'\)"
)
_JSON_TYPE = re.compile(r"json_type\((?P<column>\w+)\)")
_DIGITS = "????-??-??T??:??:??.??????Z".replace("?", "[0-9]")
#: SQLite assigns no number after its highest one, and other commands of SafeURL read this counter.
_LAST_NUMBER = 2**53
_COUNTERS: Mapping[str, str] = {
    "counter_is_a_number": f"(typeof(seq) = 'integer' AND seq BETWEEN 0 AND {_LAST_NUMBER})",
    "one_counter_for_each_table": ("(SELECT count(*) = count(DISTINCT name) FROM sqlite_sequence)"),
}


def _rules(table: SchemaObject) -> dict[str, str]:
    """Return the constraints of the table, and further rules on which we rely."""
    if table.name == "sqlite_sequence":
        return dict(_COUNTERS)
    sql = table.sql or ""
    rules = {name: _strict(rule) for name, rule in (checks(sql) | links(sql)).items()}
    if "AUTOINCREMENT" in sql:
        rules[f"{table.name}_numbers_left"] = f"(row_id <= {_LAST_NUMBER})"
    return rules


def _strict(rule: str) -> str:
    """Return the rule that a time is valid, instead of the rule about its format.

    A rule about the type of JSON also checks that the text is JSON; else it would fail.
    """
    if "json_valid" not in rule and (json := _JSON_TYPE.search(rule)):
        return f"(CASE WHEN json_valid({json['column']}) THEN {rule} ELSE 0 END)"
    match = _TIME.fullmatch(rule)
    if match is None:
        return rule
    column = match["column"]
    # With a modifier, SQLite computes the time again: 31 February and 24:00 become another day. The
    # fraction is left out, because strftime() rounds it to milliseconds: .9995 is the next second.
    whole = f"substr({column}, 1, 19)"
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {whole}, '+0 days')"
    return (
        f"({column} GLOB '{_DIGITS}' AND {column} >= '0001' AND coalesce({seconds}, '') = {whole})"
    )


def rule_counts(objects: Iterable[SchemaObject]) -> list[RuleCount]:
    """Return a count for each table of the schema that has rules."""
    rules = [(each.name, _rules(each)) for each in objects if each.kind == "table" and each.sql]
    return [RuleCount(name, found) for name, found in rules if found]


async def rule_faults(read: Read) -> list[str]:
    """Return a fault for each rule of `schema.sql` that rows break, in a database of this version.

    Its schema must have been checked before.
    """
    counts = rule_counts(current())
    for count in counts:
        while (statement := count.next()) is not None:
            (row,) = await read(statement)
            count.add(row)
    return [fault for count in counts for fault in count.faults()]
