#!/usr/bin/env python3
"""Starts the fetcher in its image: loads its modules from one file, with their patterns compiled.

    python3 -I -S -B start.pyc [--preload] [--idle-timeout SECONDS]

`fetcher_bundle.py` writes the file when the image is built. Looking for a module in folders, and
opening and reading its file, cost more than loading it; compiling the regular expressions of all
modules costs a quarter of the start. A module that is not in the file is imported as usual. Only
modules that are part of the interpreter are imported here, since this runs before any other.
"""

import marshal
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader
from os import O_CLOEXEC, O_RDONLY, open, pread, read  # noqa: A004 - a descriptor, no file object
from types import ModuleType

#: The folder of this file, of the bundle and of the modules.
FOLDER = __file__.rpartition("/")[0]
BUNDLE = f"{FOLDER}/modules.bin"
#: Bytes at the start of the file: the length of the index that follows.
HEAD_BYTES = 8
#: Modules that others import and do not use unless something rare happens. They run when they are
#: used; together they take 6 ms. A module belongs here only if it is imported as `import NAME`.
LATE = frozenset({"calendar", "inspect", "random", "textwrap", "traceback"})


class BundleImporter:
    """Finds and loads the modules of the bundle (a finder and loader of importlib)."""

    def __init__(self, path: str) -> None:
        """Read the index of the file."""
        self._file = open(path, O_RDONLY | O_CLOEXEC)
        size = int.from_bytes(read(self._file, HEAD_BYTES), "little")
        #: By name: the module's file, whether it is a package, and where its code lies in the
        #: bundle; (0, 0) for compiled modules, which are loaded from their own files.
        self._index: dict[str, tuple[str, bool, int, int]] = marshal.loads(  # noqa: S302 - the image's own file
            read(self._file, size)
        )
        self._start = HEAD_BYTES + size

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return how to load a module; None if it is not in the bundle."""
        found = self._index.get(name)
        if found is None:
            return None
        path, is_package, _, _ = found
        spec = ModuleSpec(name, self._loader(name), origin=path, is_package=is_package)  # type: ignore[arg-type]  # importlib's own class for loaders is not imported
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [path.rpartition("/")[0]]
        return spec

    def _loader(self, name: str) -> object:
        path, _, _, size = self._index[name]
        if not size:
            return ExtensionFileLoader(name, path)
        if name not in LATE:
            return self
        from importlib.util import LazyLoader  # noqa: PLC0415 - it is in the bundle

        return LazyLoader(self)  # type: ignore[arg-type]  # see `find_spec`

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let importlib create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        _, _, offset, size = self._index[module.__name__]
        stored = pread(self._file, size, self._start + offset)
        code, patterns = marshal.loads(stored)  # noqa: S302 - the image's own file
        if patterns:
            _remember(patterns)
        exec(code, module.__dict__)  # noqa: S102 - the module's own code, as importlib runs it


def _remember(patterns: list[tuple[int, tuple[object, ...]]]) -> None:
    """Put compiled patterns into the cache of `re`, where `re.compile` finds them."""
    import re  # noqa: PLC0415 - only modules with patterns need it
    from _sre import compile as load  # type: ignore[import-not-found]  # noqa: PLC0415 - see above

    for flags, compiled in patterns:
        re._cache[type(compiled[0]), compiled[0], flags] = load(*compiled)  # type: ignore[attr-defined]  # noqa: SLF001 - `re` has no other way to load what was compiled before


def main() -> None:
    """Run the fetcher."""
    sys.path.append(FOLDER)
    sys.meta_path.insert(0, BundleImporter(BUNDLE))
    from fetcher.__main__ import main as fetch  # noqa: PLC0415 - found by the importer

    fetch()


if __name__ == "__main__":
    main()
