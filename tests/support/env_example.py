"""`.env.example`, written from the settings: `python -m tests.support.env_example` does it anew."""

from pathlib import Path

from pydantic import SecretStr

from safeurl.settings import Settings

FILE = Path(__file__).parents[2] / ".env.example"


def env_example() -> str:
    """Return its text: every variable with its meaning and default."""
    lines = [
        "# Every setting of SafeURL with its default. Copy to .env and change what you need.",
        "",
    ]
    for field in Settings.model_fields.values():
        lines += [f"# {field.description}", f"{field.alias}={_text(field.default)}", ""]
    return "\n".join(lines)


def _text(default: object) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    FILE.write_text(env_example())
