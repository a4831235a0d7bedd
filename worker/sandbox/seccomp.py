"""The system calls that a sandbox may make: seccomp profiles of our own, deny by default.

Written by docker/seccomp_profile.py from recorded calls; held by tests/unit/worker/test_seccomp.py
and, from inside containers, by tests/integration/test_sandbox_seccomp.py. What a filter cannot
see: memory behind a pointer (so `clone3` is refused as a whole), file names, and what is written
through files: a process that writes to /proc/self/mem changes its own code although no memory
of it is writable and executable.
"""

import json
from functools import cache
from importlib import resources
from typing import Literal

_FOLDER = "profiles"
#: By the sandbox's network. Without one the fetcher speaks to its gateway's unix socket alone.
_FILES = {"none": "http.json", "bridge": "http_bridge.json"}


@cache
def security_option(network: Literal["bridge", "none"]) -> str:
    """Return the entry of `SecurityOpt`: the engine is given the profile itself, not a path."""
    text = (resources.files(__package__) / _FOLDER / _FILES[network]).read_text(encoding="utf-8")
    return "seccomp=" + json.dumps(json.loads(text), separators=(",", ":"))
