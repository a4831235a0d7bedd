"""The stored inputs of each target: one zip file, which the ordinary tests replay.

An input that was a finding stays in it forever; the others are the smallest that reach the code.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
#: The archive is the same to the byte for the same inputs.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
#: Of a target: so many inputs, and so many bytes of them before they are packed.
_MAX_KEPT: Final = 400
_MAX_KEPT_BYTES: Final = 1024 * 1024


def read_corpus(target: str) -> dict[str, bytes]:
    """Return the stored inputs by their names; none if the target has no file yet."""
    path = _FOLDER / f"{target}.zip"
    if not path.exists():
        return {}
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def write_corpus(target: str, folder: Path) -> None:
    """Store the present inputs, and the smallest of the folder's."""
    kept = read_corpus(target)
    found = sorted(
        (each.read_bytes() for each in folder.iterdir()), key=lambda data: (len(data), data)
    )
    for data in found:
        is_full = len(kept) >= _MAX_KEPT or sum(map(len, kept.values())) > _MAX_KEPT_BYTES
        if not is_full:
            kept.setdefault(hashlib.sha256(data).hexdigest()[:16], data)
    with zipfile.ZipFile(_FOLDER / f"{target}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(kept):
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), kept[name], zipfile.ZIP_DEFLATED)
