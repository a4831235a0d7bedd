#!/usr/bin/env python3
"""Adds or removes one runtime in the Docker engine's configuration file; all else in it stays.

`daemon_json.py set FILE NAME PROGRAM [ARGUMENT…]` and `daemon_json.py unset FILE NAME`; used by
docker/gvisor.sh. `unset` leaves the key `runtimes` in place, empty if need be: a reload without
that key would keep what the engine has. Only the standard library is needed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def read(file: Path) -> dict[str, Any]:
    """Return the configuration; empty if there is no file or an empty one."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    config = json.loads(text) if text.strip() else {}
    if not isinstance(config, dict) or not isinstance(config.get("runtimes", {}), dict):
        raise TypeError("it or its `runtimes` is no JSON object")
    return config


def write(file: Path, config: dict[str, Any]) -> None:
    """Replace the file in one step, so that no reader finds a part of it; its mode stays."""
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(json.dumps(config, indent=4) + "\n", encoding="utf-8")
    draft.chmod(mode)
    os.replace(draft, file)  # noqa: PTH105 - says what it does: it replaces


def main(arguments: list[str]) -> str | None:
    """Do what the arguments say; a text is the one sentence for the person who started it."""
    verb, file, name, *program = arguments
    path = Path(file)
    try:
        config = read(path)
    except (OSError, ValueError, TypeError) as error:
        return f"{file} cannot be read as the engine's configuration ({error}): repair it first."
    runtimes = config.setdefault("runtimes", {})
    if verb == "set":
        runtimes[name] = {"path": program[0], "runtimeArgs": program[1:]}
    else:
        runtimes.pop(name, None)
    write(path, config)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
