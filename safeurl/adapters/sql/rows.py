"""Converts dataclasses to rows and back: times become text, lists JSON, and enums their values."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, asdict, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import ValidationError
from sqlmodel import SQLModel

from safeurl.adapters.sql.database import Row, Value
from safeurl.errors import RowRefusedError, RowUnreadableError
from safeurl.model.worker import WorkerParts


class _Dataclass(Protocol):
    # Any: a field may be of any type.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Kind = TypeVar("Kind", bound=_Dataclass)
Item = TypeVar("Item")


def stamp(at: datetime) -> str:
    """Return the time as the database stores it: UTC, microseconds, `Z`, always 27 characters."""
    if at.tzinfo is None:
        raise RowRefusedError(f"The time {at} says no time zone.")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def new_change_id() -> str:
    """Return a new random id for a change of a scan."""
    return secrets.token_hex(8)


def columns(value: _Dataclass) -> dict[str, Value]:
    """Return a dataclass as column values, by field name."""
    return {field.name: _column(getattr(value, field.name)) for field in fields(value)}


def _column(value: object) -> Value:
    match value:
        case datetime():
            return stamp(value)
        case tuple():
            return json.dumps(value)
        case WorkerParts():
            return json.dumps(asdict(value))
        case bool() | int():
            return int(value)
        case None | float():
            return value
        case _:
            return str(value)


def as_json(values: Iterable[_Dataclass]) -> str:
    """Return dataclasses as one JSON list of rows, which a single statement can store."""
    return json.dumps([columns(value) for value in values])


def parse(model: type[SQLModel], kind: type[Kind], rows: Sequence[Row]) -> list[Kind]:
    """Return the rows as dataclasses of the same field names, checked by the model."""
    return [_parsed(model, kind, row) for row in rows]


def readable(
    model: type[SQLModel],
    kind: type[Kind],
    rows: Sequence[Row],
    on_unreadable: Callable[[str], None] = lambda _: None,
) -> list[Kind]:
    """Return the readable rows as `parse` does; report the ids of the others."""
    found = []
    for row in rows:
        try:
            found.append(_parsed(model, kind, row))
        except RowUnreadableError:
            on_unreadable(str(row["id"]))
    return found


def _parsed(model: type[SQLModel], kind: type[Kind], row: Mapping[str, Value]) -> Kind:
    try:
        checked = model.model_validate(dict(row))
    except ValidationError as exc:
        raise RowUnreadableError(
            f"The database holds a {model.__name__} row that this version cannot read."
        ) from exc
    return kind(**{field.name: getattr(checked, field.name) for field in fields(kind)})


def first(found: Sequence[Item]) -> Item | None:
    """Return the first element, or None if there is none."""
    return found[0] if found else None
