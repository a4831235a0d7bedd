"""A disk of a few MiB of one's own (tmpfs), to be filled up or made read-only. Needs root."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_FILLER = "filler"
_CHUNK = bytes(64 * 1024)
_TIMEOUT_S = 20.0


class SmallDisk:
    """A file system at a folder, which is removed with its content at the end."""

    def __init__(self, folder: Path, *, size_mb: int) -> None:
        """Store an empty folder."""
        self.folder = folder
        self._size_mb = size_mb

    def fill(self, *, leaving: int = 0) -> None:
        """Leave so many bytes free, in complete pages."""
        with (self.folder / _FILLER).open("ab", buffering=0) as filler:
            chunk = _CHUNK
            while chunk:
                try:
                    filler.write(chunk)
                except OSError:
                    chunk = chunk[: len(chunk) // 2]
            filler.truncate(filler.tell() - leaving)

    def free(self) -> None:
        """Free the space that `fill` used."""
        (self.folder / _FILLER).unlink()

    def make_read_only(self) -> None:
        """Refuse every write; no file may be open for writing."""
        _mount("-o", "remount,ro", str(self.folder))

    def make_writable(self) -> None:
        """Accept writes again."""
        _mount("-o", "remount,rw", str(self.folder))

    def __enter__(self) -> Self:
        """Mount it."""
        options = f"size={self._size_mb}m,mode=700"
        _mount("-t", "tmpfs", "-o", options, "safeurl-tests", str(self.folder))
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Unmount it; a process that still uses it keeps it until its own end."""
        _run("umount", "--lazy", str(self.folder))


def _mount(*arguments: str) -> None:
    _run("mount", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} (root may): {done.stderr.strip()}")
