"""The seccomp profiles of sandboxes: allowed system calls, all others denied.

docker/seccomp_profile.py writes them from recorded calls. tests/unit/worker/test_seccomp.py checks
them, and tests/integration/test_sandbox_seccomp.py from inside containers. A filter cannot see
memory behind a pointer (so `clone3` is refused completely), file names, or data written to files: a
process that writes to /proc/self/mem changes its own code, although none of its memory is writable
and executable.
"""

import json
from functools import cache
from importlib import resources
from typing import Literal

_FOLDER = "profiles"
#: By the sandbox's network. Without one, the fetcher uses its gateway's unix socket only.
_FILES = {"none": "http.json", "bridge": "http_bridge.json"}


@cache
def security_option(network: Literal["bridge", "none"]) -> str:
    """Return the entry of `SecurityOpt`, which contains the profile itself, not a path."""
    text = (resources.files(__package__) / _FOLDER / _FILES[network]).read_text(encoding="utf-8")
    return "seccomp=" + json.dumps(json.loads(text), separators=(",", ":"))
