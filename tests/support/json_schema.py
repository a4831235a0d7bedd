"""The part of JSON Schema that our OpenAPI document uses; anything else in it is a failure."""

from collections.abc import Iterator
from typing import Any

# Schemas and documents are JSON: any value may stand anywhere.
Json = Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_NOTES = {"title", "description", "examples", "default", "format"}
_RULES = {
    *("$ref", "anyOf", "type", "enum", "const", "properties", "required", "items"),
    *("additionalProperties", "minimum", "maximum"),
}


def faults(value: Json, schema: dict[str, Json], root: dict[str, Json], at: str = "$") -> list[str]:
    """Return the places where `value` violates `schema`, with references looked up in `root`."""
    unknown = set(schema) - _RULES - _NOTES
    if unknown:
        return [f"{at}: the schema uses {sorted(unknown)}"]
    if "$ref" in schema:
        return faults(value, _resolve(schema["$ref"], root), root, at)
    if "anyOf" in schema:
        found = [faults(value, option, root, at) for option in schema["anyOf"]]
        return [] if any(not each for each in found) else [f"{at}: no option fits {value!r}"]
    return [*_own(value, schema, at), *_members(value, schema, root, at)]


def _own(value: Json, schema: dict[str, Json], at: str) -> Iterator[str]:
    kind = schema.get("type")
    is_flag = isinstance(value, bool) and kind != "boolean"
    if kind and (is_flag or not isinstance(value, _TYPES[kind])):
        yield f"{at}: {value!r} is not {kind}"
    elif value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r} is not one of the values"
    elif "minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
        yield f"{at}: {value!r} is out of range"


def _members(value: Json, schema: dict[str, Json], root: dict[str, Json], at: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), root, f"{at}[{index}]")
    if isinstance(value, dict) and not schema.get("additionalProperties"):
        known = schema.get("properties", {})
        yield from (
            f"{at}.{name}: missing" for name in schema.get("required", ()) if name not in value
        )
        yield from (f"{at}.{name}: undocumented" for name in value if name not in known)
        for name in known.keys() & value.keys():
            yield from faults(value[name], known[name], root, f"{at}.{name}")


def _resolve(reference: str, root: dict[str, Json]) -> dict[str, Json]:
    found: Json = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found
