"""Who commands the gateway in use, and whether a sandbox's user may. Tried for real as root."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safeurl.permissions import user_name
from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed, warned
from worker.egress.gateway.peers import NOBODY
from worker.egress.protocol import CONTROL_NAME

_NAME: Final = "gateway-control"
_TRIAL_S: Final = 20.0
_ROOT: Final = 0
#: Becomes the user, asks the gateway who it is, and prints one word and the answer. It begins
#: as root, because our interpreter may lie where no other user enters; and it connects by the
#: folder's descriptor, so that a path that only root may enter is no wall either.
_PROGRAM: Final = """
import os, socket, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
control = socket.socket(socket.AF_UNIX)
control.settimeout(5)
try:
    control.connect(sys.argv[1])
    control.sendall(b'{"op":"ping"}\\n')
    print("answered", control.recv(4096).decode())
except OSError as error:
    print("shut", error)
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of asking as a sandbox's user."""

    user: int
    #: Whether the gateway did what it was asked; None where it could not be tried.
    was_served: bool | None


def control_socket(settings: Settings) -> Finding:
    """Fail where the socket is a sandbox user's, or serves one; warn where anybody may connect."""
    control = settings.gateway_dir / CONTROL_NAME
    try:
        found = control.stat()
    except OSError as error:
        detail = f"{control}: {error.strerror}"
        if settings.container_network != "none":
            return passed(_NAME, f"not used with CONTAINER_NETWORK={settings.container_network}")
        return warned(_NAME, detail, "It is there while `safeurl worker` or `safeurl up` runs.")
    return judge(found.st_uid, found.st_mode & 0o777, _try(control.parent))


def judge(owner: int, mode: int, trial: Trial) -> Finding:
    """Judge owner and mode of the socket, and what came of the trial. Pure."""
    whose = f"the control socket belongs to {user_name(owner)} and has mode {mode:04o}"
    if owner == NOBODY:
        advice = "Run the gateway as a user of its own."
        return failed(_NAME, f"{whose}: sandboxes may be that user", advice)
    if trial.was_served:
        detail = f"{whose}, and serves {user_name(trial.user)}, who a sandbox may be"
        return failed(_NAME, detail, "Start the gateway again, with this release.")
    if mode & 0o007:
        advice = f"chmod o= {CONTROL_NAME}, and the gateway's folder."
        return warned(_NAME, f"{whose}: every user may connect", advice)
    tried = f"the user {user_name(trial.user)} is refused"
    untried = "whether sandboxes' users are refused is tried where the doctor runs as root"
    return passed(_NAME, f"{whose}; {tried if trial.was_served is False else untried}")


def _try(folder: Path) -> Trial:
    """Ask the gateway as nobody, which takes root."""
    if os.geteuid() != _ROOT:
        return Trial(NOBODY, None)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        control = f"/proc/self/fd/{handle}/{CONTROL_NAME}"
        done = subprocess.run(  # noqa: S603 - our own program
            (sys.executable, "-I", "-S", "-c", _PROGRAM, control, str(NOBODY)),
            pass_fds=(handle,),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TRIAL_S,
        )
    except (OSError, subprocess.SubprocessError):
        return Trial(NOBODY, None)
    finally:
        os.close(handle)
    if not done.stdout.startswith(("answered", "shut")):
        return Trial(NOBODY, None)
    return Trial(NOBODY, '"pong"' in done.stdout)
