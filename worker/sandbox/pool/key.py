"""The key of a sandbox that is started ahead: a hash of all that it is made from.

It is made from the create request itself, so that whatever changes the request changes the key. The
image's id is not part of it: the user of the pool does not ask the engine. The pool follows the id
of the image and removes the sandboxes of an older one.
"""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

from safeurl import __version__
from worker.sandbox.options import Ahead, SandboxSettings, ahead_options

_AHEAD = Ahead(pool="", egress="", egress_dir="", anchor=None, idle_s=0)
_AT = datetime(2000, 1, 1, tzinfo=UTC)


def pool_key(settings: SandboxSettings) -> str:
    """Return the key for these settings; the user id of a single sandbox does not change it."""
    alike = replace(settings, uid=settings.uids[0])
    facts = asdict(alike) | {"uids": [settings.uids.start, settings.uids.stop]}
    body = ahead_options(alike, _AHEAD, _AT)
    text = json.dumps([__version__, facts, body], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
