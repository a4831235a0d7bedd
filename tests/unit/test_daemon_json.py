"""docker/daemon_json.py: one runtime is added and removed, and the rest of the file stays."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docker/daemon_json.py"


def edit(verb: str, file: Path, *words: str) -> str:
    """Run the script; return its complaint, empty for none."""
    command = [sys.executable, str(SCRIPT), verb, str(file), *words]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (ran.returncode == 0) == (ran.stderr == "")
    return ran.stderr


def test_a_runtime_comes_and_goes(tmp_path: Path) -> None:
    """Other keys and runtimes keep their order, the file keeps its mode, and no file is left."""
    file = tmp_path / "daemon.json"
    others = {"log-level": "info", "runtimes": {"other": {"path": "/bin/other"}}, "debug": False}
    file.write_text(json.dumps(others))
    file.chmod(0o600)
    assert edit("set", file, "runsc", "/usr/bin/runsc", "--network=none", "--host-uds=open") == ""
    config = json.loads(file.read_text())
    assert config["runtimes"].pop("runsc") == {
        "path": "/usr/bin/runsc",
        "runtimeArgs": ["--network=none", "--host-uds=open"],
    }
    assert list(config.items()) == list(others.items())
    assert edit("unset", file, "runsc") == ""
    assert json.loads(file.read_text()) == others
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_file_there_is_one(tmp_path: Path) -> None:
    """A first registration makes folder and file; the key stays when the last runtime goes."""
    file = tmp_path / "docker" / "daemon.json"
    assert edit("set", file, "runsc", "/usr/bin/runsc") == ""
    assert edit("unset", file, "runsc") == ""
    assert json.loads(file.read_text()) == {"runtimes": {}}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The target of the link, which a configuration system may own, is written, not the link."""
    real, link = tmp_path / "real.json", tmp_path / "daemon.json"
    real.write_text("{}")
    link.symlink_to(real)
    assert edit("set", link, "runsc", "/usr/bin/runsc") == ""
    assert link.is_symlink()
    assert "runsc" in real.read_text()


def test_what_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    """A file that is not a JSON object is not changed, and the error names it."""
    for text in ("{broken", "[]", '{"runtimes": []}'):
        file = tmp_path / "daemon.json"
        file.write_text(text)
        assert str(file) in edit("set", file, "runsc", "/usr/bin/runsc")
        assert file.read_text() == text
