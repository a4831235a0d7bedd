"""The rows of a database against the CHECKs and foreign keys of its tables.

SQLite asks a CHECK when a row is written. Who takes the CHECK away, writes and puts it back leaves
rows that the schema alone does not show.
"""

from collections.abc import Awaitable, Callable, Mapping

from safeurl.adapters.sql.database import Row, Statement
from safeurl.adapters.sql.schema_check import current
from safeurl.adapters.sql.sql_text import checks, links

#: Rows of one statement, so that no answer of a server takes long.
_PAGE = 5_000

#: The row ids that SQLite can give.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Read = Callable[[Statement], Awaitable[list[Row]]]


async def check_faults(read: Read) -> list[str]:
    """Name each CHECK and foreign key of `schema.sql` that rows break, and how many do.

    The schema must have been compared before.
    """
    faults = []
    for each in current():
        sql = (each.kind == "table" and each.sql) or ""
        if rules := checks(sql) | links(sql):
            broken = await _broken(read, each.name, rules)
            faults += [
                f"{count:,} rows of {each.name} break the rule {rule}."
                for rule, count in broken.items()
                if count
            ]
    return faults


async def _broken(read: Read, table: str, rules: Mapping[str, str]) -> dict[str, int]:
    """Count the rows that break each rule, page by page."""
    # A CHECK that gives NULL lets the row pass. CASE, because like a CHECK, and unlike an operand,
    # it does not ask json_type() of what json_valid() has refused.
    counts = ", ".join(
        f"sum(CASE WHEN NOT {rule} THEN 1 END) AS {name}" for name, rule in rules.items()
    )
    page = (
        f"SELECT rowid AS row_id, * FROM {table} WHERE rowid >= :first ORDER BY rowid LIMIT :limit"  # noqa: S608 - names and rules are those of our schema.sql
    )
    sql = f"SELECT max(row_id) AS last, {counts} FROM ({page})"  # noqa: S608 - see above
    broken = dict.fromkeys(rules, 0)
    first = _LOWEST
    while first <= _HIGHEST:
        (row,) = await read(Statement(sql, {"first": first, "limit": _PAGE}))
        for rule in rules:
            broken[rule] += int(row[rule] or 0)
        first = _HIGHEST + 1 if row["last"] is None else int(row["last"]) + 1
    return broken
