"""The remains of tests are found and named."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.support.images import docker_client, script_image
from tests.support.leftovers import image_tags, is_at_work, is_in_use, resources

#: What is left here goes away by itself in no time, so that a short grace finds it as well.
_LEFTOVERS = (sys.executable, "-m", "tests.support.leftovers", "--grace", "0.2")
#: A process of a session of its own, as a daemon is, that outlives the one that started it.
_DAEMON = """
import subprocess, sys
command, null = [sys.executable, "-c", "import time; time.sleep(60)"], subprocess.DEVNULL
subprocess.Popen(command, stdout=null, stderr=null, start_new_session=True)
"""
#: More than any process is numbered.
_NO_PROCESS = 2**22 + 1
_ENDS = "import subprocess, sys; sys.exit(subprocess.call(['false']) + {})"


def test_a_process_that_outlives_its_run_is_named() -> None:
    """It fails a run that passed, also when it has left the run's session."""
    done = subprocess.run(
        [*_LEFTOVERS, "run", sys.executable, "-c", _DAEMON],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.startswith("The tests left behind: process ")
    assert "time.sleep(60)" in line
    assert not psutil.pid_exists(int(line.split()[5]))


@pytest.mark.parametrize(("more", "status"), [(-1, 0), (2, 3)])
def test_the_status_of_a_run_that_leaves_nothing_is_its_own(more: int, status: int) -> None:
    """A child that it waited for is not left."""
    command = [*_LEFTOVERS, "run", sys.executable, "-c", _ENDS.format(more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_an_image_that_is_left_is_named(tmp_path: Path) -> None:
    """An image that existed before is not named."""
    before = tmp_path / "before"
    before.write_text("".join(f"{each}\n" for each in resources()))
    with script_image("left = 1") as tag, docker_client() as client:
        # As of a run that has ended: the name of its process stands for none.
        left = f"{tag.partition(':')[0]}:{_NO_PROCESS}"
        client.images.get(tag).tag(left)
        done = subprocess.run(
            [*_LEFTOVERS, "check", str(before)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        client.images.remove(left, force=True)
    assert done.returncode == 1
    assert f"The tests left behind: image {left}\n" in done.stdout
    assert f"image {tag}" not in done.stdout, "this process, which made it, is still at work"


def test_what_another_run_still_uses_is_not_left_behind() -> None:
    """It names a process that is alive, or lies in the folder of one; other names are nobody's."""
    hexes, pid = "0123456789ab", os.getpid()
    assert is_at_work(f"safeurl-test-{hexes}:{pid}")
    assert is_at_work(f"safeurl-{pid}-{hexes}")
    for name in (f"safeurl-test-{hexes}:{_NO_PROCESS}", f"safeurl-{_NO_PROCESS}-{hexes}"):
        assert not is_at_work(name)
    for name in ("safeurl-fetcher:latest", f"other-{pid}-{hexes}", f"safeurl-{pid}"):
        assert not is_at_work(name)
    with tempfile.TemporaryDirectory() as folder:
        used = Path(folder) / "state" / "egress" / "sockets" / "1"
        assert not is_in_use([used])
        lock = Path(folder) / ".lock"
        for noted in (str(_NO_PROCESS), "", "nobody"):
            lock.write_text(noted)
            assert not is_in_use([used])
        lock.write_text(str(pid))
        assert is_in_use([Path("/nowhere"), used])
        os.utime(lock, (1.0, 1.0))
        assert not is_in_use([used]), "the process is younger than the note: it is another one"


def test_an_image_without_a_tag_is_none() -> None:
    """Every kind of list: a build that takes a tag leaves an untagged image on the host."""
    listed: list[list[str] | None] = [["a:1", "b:2"], ["<none>:<none>"], [], None]
    assert image_tags({"RepoTags": tags} for tags in listed) == {"a:1", "b:2"}
