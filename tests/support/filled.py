"""Values of all our types with one text in every text field."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from safeurl.model.report import Evidence
from safeurl.model.verdict import Verdict
from tests.support.builders import NOW

# Any: a type, or another object in an annotation.
Hint = Any

#: Fields that contain a JSON document, and its type.
_DOCUMENTS = {"evidence_json": Evidence, "verdict_json": Verdict}
_PLAIN: Mapping[type, object] = {
    bool: True,
    int: 1,
    float: 1.0,
    bytes: b"x",
    datetime: NOW,
    timedelta: timedelta(seconds=1),
    NoneType: None,
}


def fill(kind: Hint, text: str) -> Any:
    """Return a value of the type: texts are `text`, lists have one item, options are set.

    A new field of a type is filled too. Nothing is validated.
    """
    if get_origin(kind) is not None:
        return _composed(kind, text)
    if kind in {str, Path}:
        return kind(text)
    return _PLAIN[kind] if kind in _PLAIN else _filled(kind, text)


def _composed(kind: Hint, text: str) -> object:
    """Return a value of a type that has others in it."""
    origin: Hint = get_origin(kind)
    arguments = get_args(kind)
    if origin is Literal:
        return arguments[0]
    if origin is Annotated:
        return fill(arguments[0], text)
    if origin in {Union, UnionType}:
        return fill(next(each for each in arguments if each is not NoneType), text)
    if origin is tuple and arguments[-1] is not ...:
        return tuple(fill(each, text) for each in arguments)
    if origin in {tuple, list, Sequence, frozenset}:
        return (fill(arguments[0], text),)
    raise TypeError(f"nobody said how to fill {kind!r}")


def _filled(kind: type, text: str) -> object:
    """Return an enumeration's first member, or an instance made of its fields."""
    if issubclass(kind, Enum):
        return next(iter(kind))
    if not (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)):
        raise TypeError(f"nobody said how to fill {kind!r}")
    hints = get_type_hints(kind, include_extras=True)
    names = (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else [field.name for field in msgspec.structs.fields(kind)]
    )
    return kind(**{name: _field(name, hints[name], text) for name in names})


def _field(name: str, kind: Hint, text: str) -> object:
    if name not in _DOCUMENTS:
        return fill(kind, text)
    # JSON holds no lone surrogate.
    inner = text.encode("utf-8", "replace").decode()
    return json.dumps(msgspec.to_builtins(fill(_DOCUMENTS[name], inner)))
