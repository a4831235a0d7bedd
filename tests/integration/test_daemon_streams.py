"""Every daemon with closed, full or broken streams: it serves, and nothing else fails."""

from pathlib import Path

import pytest

from tests.support.stream_watch import DAEMONS, SUPERVISED, watch

#: A child that went on as its parent stops the others within the tenth of a second. A minute of it:
#: `python -m tests.support.stream_watch`.
_SECONDS = 1.0


@pytest.mark.parametrize("streams", ["none", "full both", "dead both"])
@pytest.mark.parametrize("daemon", DAEMONS)
def test_nobody_but_the_process_at_fault_is_started_again(
    tmp_path: Path, daemon: str, streams: str
) -> None:
    """If one role gets SIGTERM or is killed, the other roles continue."""
    seen = watch(daemon, streams, tmp_path / "state", _SECONDS)
    assert len(seen.faulty) == (2 if daemon in SUPERVISED else 0)
    assert seen.others == 0
    assert seen.code == 0
