"""Reads stored evidence, also if an older version wrote it by less strict rules.

Evidence is immutable, but newer versions of `safeurl.model.report` are stricter. A value that is no
longer valid for its field is not shown and not judged. The stored document stays unchanged.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import inspect

from safeurl.model.report import Evidence

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


class _UnfitError(Exception):
    """The value cannot be made valid. This error never leaves the module."""


def read_evidence(document: str | bytes) -> Evidence:
    """Return the stored evidence.

    Raise `msgspec.MsgspecError` if the document is not evidence or has fields of a later version.
    """
    try:
        return _read(document)
    except RecursionError as error:
        raise msgspec.ValidationError("The stored evidence is nested too deeply.") from error


def _read(document: str | bytes) -> Evidence:
    try:
        return msgspec.json.decode(document, type=Evidence)
    except msgspec.ValidationError:
        loose = msgspec.json.decode(document)
        try:
            return msgspec.convert(_fit(loose, inspect.type_info(Evidence)), Evidence)
        except _UnfitError as error:
            raise msgspec.ValidationError("The stored evidence is not of any version.") from error


def _fit(value: object, kind: inspect.Type) -> object:
    """Return the value without its invalid parts; raise `_UnfitError` if nothing is left."""
    match kind:
        case inspect.UnionType():
            return _fit_one_of(value, kind)
        case inspect.StructType():
            return _fit_struct(value, kind)
        case inspect.VarTupleType():
            return _fit_all(value, kind)
        case inspect.TupleType():
            parts = cast("list[object]", _checked(value, list))
            return [_fit(part, each) for part, each in zip(parts, kind.item_types, strict=False)]
        case inspect.StrType():
            return _fit_text(cast("str", _checked(value, str)), kind)
        case _:
            return value  # numbers and enums, whose rules have not become stricter


def _fit_one_of(value: object, kind: inspect.UnionType) -> object:
    if value is None and kind.includes_none:
        return None
    (other,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    try:
        return _fit(value, other)
    except _UnfitError:
        if kind.includes_none:
            return None
        raise


def _fit_struct(value: object, kind: inspect.StructType) -> object:
    given = cast("Mapping[str, object]", _checked(value, dict))
    if given.keys() - {kind.tag_field, *(field.encode_name for field in kind.fields)}:
        raise msgspec.ValidationError("The stored evidence is of a later version.")
    fitted: dict[str, object] = {}
    for field in kind.fields:
        if field.encode_name not in given:
            continue
        try:
            fitted[field.encode_name] = _fit(given[field.encode_name], field.type)
        except _UnfitError:
            if field.required:
                raise
    if kind.tag_field is not None and kind.tag is not None:
        fitted[kind.tag_field] = kind.tag
    return fitted


def _fit_all(value: object, kind: inspect.VarTupleType) -> object:
    fitted = []
    for part in cast("list[object]", _checked(value, list))[: kind.max_length]:
        try:
            fitted.append(_fit(part, kind.item_type))
        except _UnfitError:
            continue
    return fitted


def _fit_text(text: str, kind: inspect.StrType) -> str:
    for candidate in (text, _CONTROL.sub(" ", text), ""):
        cut = candidate[: kind.max_length]
        if kind.pattern is None or re.search(kind.pattern, cut):
            return cut
    raise _UnfitError


def _checked(value: object, kind: type) -> object:
    if not isinstance(value, kind):
        raise _UnfitError
    return value
