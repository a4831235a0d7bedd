"""`.env.example`, written from the settings: `python -m tests.support.documents` does it anew."""

from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from safeurl.settings import Settings

FILE = Path(__file__).parents[2] / ".env.example"
#: What the units set themselves. systemd lets a settings file override it, so that a copy of ours,
#: unchanged, would move the data, do without the gateway's own unit and shut the worker out of it.
OWN_OF_UNITS = frozenset({"SAFEURL_STATE_DIR", "EGRESS_DIR", "EGRESS_CONTROL_USERS"})


def env_example() -> str:
    """Return its text: every variable with its meaning and default."""
    lines = [
        "# Every setting of SafeURL with its default. Copy to .env and change what you need.",
        "# Three are commented out, because the units in docker/systemd/ set them themselves.",
        "",
    ]
    for field in ordered_fields():
        mark = "#" if field.alias in OWN_OF_UNITS else ""
        lines += [f"# {field.description}", f"{mark}{field.alias}={value_text(field.default)}", ""]
    return "\n".join(lines)


def ordered_fields() -> list[FieldInfo]:
    """Return all settings, those of the installation first: pydantic begins with inherited ones."""
    names = [name for kind in (Settings, *Settings.__bases__) for name in kind.__annotations__]
    return [Settings.model_fields[name] for name in names if name in Settings.model_fields]


def value_text(default: object) -> str:
    """Return a default as one writes it in an environment variable."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
