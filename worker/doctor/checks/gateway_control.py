"""Checks who can use the control socket of the gateway; as root it connects as another user."""

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
_ATTEMPT_S: Final = 20.0
_ROOT: Final = 0
#: Changes to the user, pings the gateway, and prints one keyword and the response. It starts as
#: root, because other users may have no access to our interpreter. It connects by the folder's
#: descriptor, so that the test does not depend on the permissions of the path.
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
    print("refused", error)
"""


@dataclass(frozen=True, slots=True)
class ControlAttempt:
    """The result of a ping by a sandbox's user."""

    user: int
    #: True if the gateway answered the ping; None if this could not be tested.
    was_served: bool | None


def control_socket(settings: Settings) -> Finding:
    """Fail if a sandbox's user owns the socket or is served; warn if every user can connect."""
    control = settings.gateway_dir / CONTROL_NAME
    try:
        found = control.stat()
    except OSError as error:
        detail = f"{control}: {error.strerror}"
        if settings.container_network != "none":
            return passed(_NAME, f"not used with CONTAINER_NETWORK={settings.container_network}")
        return warned(_NAME, detail, "It exists while `safeurl worker` or `safeurl up` runs.")
    return control_finding(found.st_uid, found.st_mode & 0o777, _ping_as_nobody(control.parent))


def control_finding(owner: int, mode: int, attempt: ControlAttempt) -> Finding:
    """Evaluate the owner and the mode of the socket, and the result of the attempt. Pure."""
    whose = f"the control socket belongs to {user_name(owner)} and has mode {mode:04o}"
    if owner == NOBODY:
        advice = "Run the gateway as a user that nothing else has."
        return failed(_NAME, f"{whose}: sandboxes may be that user", advice)
    if attempt.was_served:
        detail = f"{whose}, and serves {user_name(attempt.user)}, which a sandbox may be"
        return failed(_NAME, detail, "Start the gateway again, with this release.")
    if mode & 0o007:
        advice = f"chmod o= {CONTROL_NAME}, and the gateway's folder."
        return warned(_NAME, f"{whose}: every user may connect", advice)
    tried = f"the user {user_name(attempt.user)} is refused"
    untested = "whether sandboxes' users are refused is tested if the doctor runs as root"
    return passed(_NAME, f"{whose}; {tried if attempt.was_served is False else untested}")


def _ping_as_nobody(folder: Path) -> ControlAttempt:
    """Ping the gateway as the user nobody; only root can."""
    if os.geteuid() != _ROOT:
        return ControlAttempt(NOBODY, None)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        control = f"/proc/self/fd/{handle}/{CONTROL_NAME}"
        done = subprocess.run(  # noqa: S603 - our own program
            (sys.executable, "-I", "-S", "-c", _PROGRAM, control, str(NOBODY)),
            pass_fds=(handle,),
            capture_output=True,
            text=True,
            check=False,
            timeout=_ATTEMPT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return ControlAttempt(NOBODY, None)
    finally:
        os.close(handle)
    if not done.stdout.startswith(("answered", "refused")):
        return ControlAttempt(NOBODY, None)
    return ControlAttempt(NOBODY, '"pong"' in done.stdout)
