"""Standard streams that a process was started with closed, full, or without a reader."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

#: The effect of the shell's words on the streams; `dead` is a pipe without a reader.
STREAMS: Final = {
    "no stdin": "<&-",
    "no stdout": ">&-",
    "no stderr": "2>&-",
    "none": "<&- >&- 2>&-",
    "full stdout": ">/dev/full",
    "full stderr": "2>/dev/full",
    "full both": ">/dev/full 2>&1",
    "dead stdout": ">&{dead}",
    "dead stderr": "2>&{dead}",
    "dead both": ">&{dead} 2>&1",
}


def start(
    command: Sequence[str], environ: Mapping[str, str], streams: str, *, stdin: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a Python command with these streams; the others are pipes.

    Python buffers its output, as it does for people.
    """
    reading, writing = os.pipe()
    os.close(reading)
    words = STREAMS[streams].format(dead=writing)
    buffered = {name: value for name, value in environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        return subprocess.Popen(
            ["/bin/bash", "-c", f'exec "$@" {words}', "bash", sys.executable, *command],
            env=buffered,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(writing,),
        )
    finally:
        os.close(writing)
