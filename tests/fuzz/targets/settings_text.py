"""Settings files such as `.env`: each is accepted completely, or refused with its lines."""

import os
import tempfile
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from safeurl.errors import ConfigError
from safeurl.settings import file as settings_file
from safeurl.settings.core import SETTING_NAMES, Settings
from safeurl.settings.dotenv import read_dotenv
from safeurl.settings.names import meant_in_file

#: So few references cannot fill the memory, so that the library's own expansion can be asked.
_FEW = 6
#: Where there is a file system in memory, no disk sets the pace.
_MEMORY = Path("/dev/shm")  # noqa: S108 - as sticky as /tmp
_FOLDER = _MEMORY if os.access(_MEMORY, os.W_OK) else None


def fuzz_settings_text(data: bytes) -> None:
    """Check that no line is ignored silently, and that line ends make no difference."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / ".env"
        values = _read(path, data)
        assert _read(path, data.replace(b"\r\n", b"\n")) == values
        if not isinstance(values, dict):
            assert values
            assert all(fault.startswith(str(path)) for fault in values)
            return
        text = settings_file.read(path)
    if text.count("${") <= _FEW:
        assert values == dotenv_values(stream=StringIO(text))
    for name, value in values.items():
        assert meant_in_file(name) is None
        assert name not in SETTING_NAMES or value is not None
    given = {name: value for name, value in values.items() if value is not None}
    try:
        settings = Settings.read(given)
    except ConfigError as error:
        assert all(error.faults)
        return
    assert settings.state_dir.is_absolute()
    assert "\0" not in os.fspath(settings.state_dir)


def _read(path: Path, data: bytes) -> dict[str, str | None] | tuple[str, ...]:
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        return read_dotenv(path)
    except ConfigError as error:
        return error.faults
