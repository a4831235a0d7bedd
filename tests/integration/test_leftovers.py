"""The remains of tests are found and named."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.images import script_image
from tests.support.leftovers import image_tags, resources

_LEFTOVERS = (sys.executable, "-m", "tests.support.leftovers")
#: A process of a session of its own, as a daemon is, that outlives the one that started it.
_DAEMON = """
import subprocess, sys
command, null = [sys.executable, "-c", "import time; time.sleep(60)"], subprocess.DEVNULL
subprocess.Popen(command, stdout=null, stderr=null, start_new_session=True)
"""
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
    with script_image("left = 1") as tag:
        done = subprocess.run(
            [*_LEFTOVERS, "check", str(before)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert f"The tests left behind: image {tag}\n" in done.stdout


def test_an_image_without_a_tag_is_none() -> None:
    """Every kind of list: a build that takes a tag leaves an untagged image on the host."""
    listed: list[list[str] | None] = [["a:1", "b:2"], ["<none>:<none>"], [], None]
    assert image_tags({"RepoTags": tags} for tags in listed) == {"a:1", "b:2"}
