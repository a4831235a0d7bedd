"""The tables of docs/settings.md, written from the models of the settings."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from tests.support.env_example import ordered_fields, value_text

#: The groups in the order of the page, each with the beginnings of its settings' names. The first
#: group that fits counts.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "State folder and database": ("SAFEURL_", "TURSO_", "SQLITE_"),
    "Queue": ("REDIS_",),
    "Docker and sandboxes": ("DOCKER_", "FETCHER_", "CONTAINER_", "SANDBOX_"),
    "Warm pool": ("POOL_",),
    "Fetching a page": ("FETCH_", "MAX_REDIRECTS", "MAX_BODY_"),
    "Worker, retries and leases": ("WORKER_", "MAX_", "RETRY_", "LEASE_", "ENABLE_", "LOG_"),
    "Egress gateway": ("EGRESS_",),
    "HTTP API": ("API_",),
}
#: Units that a name states at its end.
_SUFFIXES: Final[Mapping[str, str]] = {
    "_MS": "milliseconds",
    "_SECONDS": "seconds",
    "_MB_PER_SECOND": "MiB per second",
    "_MB": "MiB",
    "_PORT": "TCP port",
    "_PORTS": "TCP ports, separated by commas",
    "_CIDRS": "address ranges, separated by commas",
}
#: Units of the settings whose names do not state one.
_UNITS: Final[Mapping[str, str]] = {
    "API_ALLOWED_HOSTS": "host names, separated by commas",
    "API_HOST": "address or host name",
    "API_MAX_CONNECTIONS": "connections",
    "API_MAX_CONNECTIONS_PER_CLIENT": "connections",
    "CONTAINER_CPU_LIMIT": "cores",
    "CONTAINER_PIDS_LIMIT": "processes",
    "CONTAINER_RUNTIME": "name of a runtime",
    "DOCKER_SOCKET_PATH": "path",
    "EGRESS_CONTROL_USERS": "users, separated by commas",
    "EGRESS_DIR": "folder",
    "EGRESS_MAX_CONCURRENT": "connections",
    "EGRESS_MAX_CONNECTIONS": "connections",
    "EGRESS_RESOLVER": "addresses, separated by commas",
    "FETCHER_IMAGE": "name of an image",
    "FETCH_USER_AGENT": "text",
    "MAX_REDIRECTS": "redirects",
    "MAX_RETRIES": "attempts",
    "MAX_SCANS_PER_WORKER": "scans",
    "POOL_SIZE": "`auto` or a number of sandboxes",
    "REDIS_HOST": "address or host name",
    "REDIS_PASSWORD": "secret text",
    "REDIS_TLS_CA": "file",
    "REDIS_TLS_CERT": "file",
    "REDIS_TLS_KEY": "file",
    "REDIS_URL": "secret URL",
    "REDIS_USERNAME": "text",
    "RETRY_BACKOFF_SECONDS": "seconds, separated by commas",
    "SAFEURL_STATE_DIR": "folder",
    "SANDBOX_UIDS": "user ids",
    "TURSO_AUTH_TOKEN": "secret text",
    "TURSO_CONNECTION_URL": "URL",
    "WORKER_CONCURRENCY": "scans",
    "WORKER_MAX_LIFETIME": "seconds",
}


def tables() -> str:
    """Return one table for each group of settings."""
    return "\n\n".join(f"### {group}\n\n{_table(group)}" for group in GROUPS)


def group_of(name: str) -> str:
    """Return the group of a setting; raise LookupError if there is none."""
    for group, beginnings in GROUPS.items():
        if name.startswith(beginnings):
            return group
    raise LookupError(f"tests/support/settings_page.py has no group for {name}")


def unit_of(field: FieldInfo) -> str:
    """Return the unit or kind of a setting's value, with its limits; LookupError if unknown."""
    name = str(field.alias)
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true` or `false`"
    unit = _UNITS.get(name) or next(
        (unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), None
    )
    if unit is None:
        raise LookupError(f"tests/support/settings_page.py has no unit for {name}")
    bounds = dict(_bounds(field))
    return f"{unit}, {bounds['ge']} to {bounds['le']}" if len(bounds) == 2 else unit


def _bounds(field: FieldInfo) -> Iterator[tuple[str, str]]:
    for limit in field.metadata:
        if isinstance(limit, Ge):
            yield "ge", f"{limit.ge:,}"
        elif isinstance(limit, Le):
            yield "le", f"{limit.le:,}"


def _table(group: str) -> str:
    rows = [_row(field) for field in ordered_fields() if group_of(str(field.alias)) == group]
    return "\n".join(["| Setting | What it is for | Default | Unit |", "|---|---|---|---|", *rows])


def _row(field: FieldInfo) -> str:
    default = value_text(field.default)
    shown = f"`{default}`" if default else "empty"
    words = str(field.description).replace("|", "\\|")
    return f"| `{field.alias}` | {words} | {shown} | {unit_of(field)} |"
