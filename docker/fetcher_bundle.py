#!/usr/bin/env python3
"""Writes the file from which `fetcher_start.py` loads the fetcher's modules.

    python3 -I -S -B -c "$(cat fetcher_bundle.py)" FOLDER

Runs in the image's own file tree, with its interpreter, after all modules were compiled. It
imports the modules of the fetcher and those that a warm sandbox preloads. Then it stores every
module that was loaded, with the regular expressions that the module compiles. Both are forms that
only the same interpreter can read.

It imports no module that compiles patterns (pathlib does) before it records what is compiled.
"""

import importlib
import importlib.machinery
import marshal
import pkgutil
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

HEAD_BYTES = 8
#: A compiled pattern: the flags that `re.compile` was given, and the arguments of `_sre.compile`.
Compiled = tuple[int, tuple[object, ...]]


class PatternRecorder:
    """Records what `re` compiles, by the name of the module that is being imported."""

    def __init__(self) -> None:
        """Wrap the two functions of `re` that compile."""
        self.by_module: dict[str, list[Compiled]] = {}
        self._compiler = re._compiler  # type: ignore[attr-defined]  # noqa: SLF001 - `re` has no hook
        self._compile = self._compiler.compile
        self._engine = self._compiler._sre  # noqa: SLF001 - see above
        self._flags = 0
        self._compiler.compile = self._begin
        self._compiler._sre = SimpleNamespace(**{**vars(self._engine), "compile": self._record})  # noqa: SLF001 - see above

    def _begin(self, pattern: object, flags: int = 0) -> re.Pattern[str]:
        self._flags = int(flags)
        compiled: re.Pattern[str] = self._compile(pattern, flags)
        return compiled

    def _record(self, *compiled: Any) -> re.Pattern[str]:
        pattern, flags, code, groups, names, positions = compiled
        # The numbers are of a class of their own, which cannot be stored.
        plain = (pattern, int(flags), [int(each) for each in code], groups, dict(names), positions)
        frame = sys._getframe()  # noqa: SLF001 - the only way to know who compiles
        while frame is not None and frame.f_code.co_name != "<module>":
            frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
        if frame is not None:
            name = frame.f_globals["__name__"]
            self.by_module.setdefault(name, []).append((self._flags, plain))
        loaded: re.Pattern[str] = self._engine.compile(*plain)
        return loaded


def load_all() -> None:
    """Import every module of the fetcher, and what a preloaded fetcher imports besides."""
    package = importlib.import_module("fetcher")
    for module in pkgutil.walk_packages(package.__path__, "fetcher."):
        importlib.import_module(module.name)
    importlib.import_module("fetcher.preload").import_modules()


def entries(patterns: PatternRecorder) -> Iterator[tuple[str, str, bool, bytes]]:
    """Yield name, path, whether it is a package, and the stored bytes of each loaded module."""
    for name, module in [*sys.modules.items()]:
        spec = getattr(module, "__spec__", None)
        loader = getattr(spec, "loader", None)
        if spec is None or spec.name != name:
            continue
        is_package = spec.submodule_search_locations is not None
        if isinstance(loader, importlib.machinery.SourceFileLoader):
            stored = (loader.get_code(name), patterns.by_module.get(name, []))
            yield name, loader.path, is_package, marshal.dumps(stored)
        elif isinstance(loader, importlib.machinery.ExtensionFileLoader):
            yield name, loader.path, is_package, b""


def main(folder: str) -> None:
    """Write `modules.bin` into the folder of the modules."""
    recorder = PatternRecorder()
    sys.path.append(folder)
    load_all()
    index: dict[str, tuple[str, bool, int, int]] = {}
    blobs: list[bytes] = []
    offset = 0
    for name, path, is_package, blob in entries(recorder):
        index[name] = (path, is_package, offset, len(blob))
        blobs.append(blob)
        offset += len(blob)
    head = marshal.dumps(index)
    size = len(head).to_bytes(HEAD_BYTES, "little")
    with open(f"{folder}/modules.bin", "wb") as file:  # noqa: PTH123 - see the module's docstring
        file.writelines((size, head, *blobs))


if __name__ == "__main__":
    main(sys.argv[1])
