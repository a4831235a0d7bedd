#!/usr/bin/env python3
"""Lays out the file tree of the fetcher's image: the interpreter, its libraries, and no more.

`fetcher_tree.py TARGET` runs in the first stage of docker/fetcher.Dockerfile, on a base that has
a shell and a package manager, and copies what Python and /opt/safeurl need. Where things lie is
asked of the interpreter, so that Debian's own and one under /usr/local are both found. At the end
every module of the fetcher is loaded inside the new tree, and stored in the one file from which
`fetcher_start.py` loads them. Only the standard library is needed.
"""

import compileall
import importlib.machinery
import os
import py_compile
import re
import shutil
import ssl
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

APP = Path("/opt/safeurl")
#: The image's, as its Dockerfile says.
PATH = "/usr/local/bin:/usr/bin"
#: Of the standard library: installers, tests, windows, databases and what needs a terminal.
NOT_PACKAGES = frozenset(
    {
        *("dbm", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "test"),
        *("tkinter", "turtledemo", "unittest", "venv", "wsgiref", "xmlrpc", "curses"),
        *("site-packages", "dist-packages", "__pycache__", "__phello__", "lib-dynload"),
    }
)
NOT_MODULES = frozenset(
    {
        *("antigravity", "cgi", "cgitb", "crypt", "doctest", "ftplib", "imaplib", "nntplib"),
        *("pdb", "poplib", "pty", "pydoc", "smtpd", "smtplib", "telnetlib", "this", "turtle"),
        *("webbrowser", "cProfile", "profile", "pstats", "zipapp", "sitecustomize"),
    }
)
NOT_EXTENSIONS = re.compile(
    r"_(crypt|ctypes_test|curses|curses_panel|dbm|gdbm|lsprof|sqlite3|test\w*|tkinter|xx\w+)\."
    r"|(audioop|nis|ossaudiodev|readline|spwd|xx\w+)\."
)
#: In the wheels: what compilers and type checkers read.
NOT_SUFFIXES = frozenset({".pyi", ".pyx", ".pxd", ".h", ".c", ".typed"})
#: The C library opens these by name, which no `ldd` shows; the second line before glibc 2.34.
OPENED_BY_NAME = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
FOLDERS = ("dev", "etc", "proc", "run/egress", "sys", "tmp")
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
#: The program of the containers whose network namespaces sandboxes use (worker/sandbox/options.py).
#: It only waits and needs two pages of memory: a loop around pause(2), or around ppoll(2) without
#: descriptors and timeout where there is no pause.
ANCHOR = "anchor"
#: By machine: the number of the ELF format, and the code.
ANCHOR_CODE = {
    "x86_64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "aarch64": (
        183,
        bytes.fromhex("000080d2 010080d2 020080d2 030080d2 280980d2 010000d4 faffff17"),
    ),
}
#: Where the file lies in memory; any page above those that the kernel keeps free would do.
ANCHOR_BASE = 0x400000
#: A name by which OpenSSL looks for an authority.
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
#: Beside this script in the stage.
START, BUNDLE = Path(__file__).with_name("fetcher_start.py"), "fetcher_bundle.py"


class Tree:
    """The new root."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing in it."""
        self.root = root
        #: Files that are there, by their own paths.
        self.files: set[Path] = set()

    def add(self, path: Path, *, executable: bool = False) -> None:
        """Copy a file, with every symbolic link on its path; only root may write them."""
        real = self._links(path)
        if real in self.files:
            return
        self.files.add(real)
        target = self.root / real.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real, target)
        target.chmod(0o755 if executable else 0o644)

    def write(self, path: str, text: str) -> None:
        """Write a file of ours."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def _links(self, path: Path) -> Path:
        """Make the links that lead from a path to its file, and return the file's own path."""
        walked = Path("/")
        for number, part in enumerate(path.parts[1:], start=2):
            step = walked / part
            if step.is_symlink():
                link = self.root / step.relative_to("/")
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(step.readlink())
                onward = Path(os.path.normpath(walked / step.readlink()))
                return self._links(onward.joinpath(*path.parts[number:]))
            walked = step
        return walked


def standard_library() -> Iterator[Path]:
    """Yield the files of the standard library that the image holds."""
    top = Path(sysconfig.get_path("stdlib"))
    for path in top.iterdir():
        if path.is_dir() and path.name not in NOT_PACKAGES:
            yield from (each for each in path.rglob("*.py") if "test" not in each.parts)
        elif path.suffix == ".py" and path.stem not in NOT_MODULES and path.exists():
            yield path


def extensions() -> Iterator[Path]:
    """Yield the compiled modules of the standard library."""
    for path in Path(sysconfig.get_path("platstdlib"), "lib-dynload").glob("*.so"):
        if not NOT_EXTENSIONS.match(path.name):
            yield path


def application() -> Iterator[Path]:
    """Yield our code and the wheels'."""
    for path in APP.rglob("*"):
        parts = path.relative_to(APP).parts
        if path.is_file() and path.suffix not in NOT_SUFFIXES and parts[0] not in {"docs", "bin"}:
            yield path


def libraries(binaries: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that these binaries need, the dynamic loader among them."""
    listed = subprocess.run(  # noqa: S603 - files of this image
        ["ldd", *map(str, binaries)],  # noqa: S607 - of the base image, whatever its folder
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = {Path(match[1]) for match in LIBRARY.finditer(listed)}
    beside = {path.resolve().parent for path in found}
    named = (folder / name for folder in beside for name in OPENED_BY_NAME)
    return found | {path for path in named if path.exists()}


def certificates() -> Iterator[Path]:
    """Yield the authorities as OpenSSL looks for them: by hash, or all in one file."""
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.openssl_capath)
    found = (path for path in folder.glob("*") if path.exists())
    hashed = [path for path in found if HASHED.fullmatch(path.name)]
    if hashed:
        yield from hashed
    elif Path(paths.openssl_cafile).exists():
        yield Path(paths.openssl_cafile)
    settings = folder.parent / "openssl.cnf"
    if settings.exists():
        yield settings


def anchor_program(machine: str) -> bytes | None:
    """Return the anchor's program: an ELF header, one segment, the code. None: not known here."""
    if machine not in ANCHOR_CODE:
        return None
    number, code = ANCHOR_CODE[machine]
    header = struct.Struct("<16sHHIQQQIHHHHHH")
    segment = struct.Struct("<IIQQQQQQ")
    start = header.size + segment.size
    size = start + len(code)
    # 64 bits, little endian, version 1; an executable file with one segment and no sections.
    identity = b"\x7fELF" + bytes([2, 1, 1])
    head = (identity, 2, number, 1, ANCHOR_BASE + start, header.size, 0, 0)
    sizes = (header.size, segment.size, 1, 0, 0, 0)
    # A segment to load that is readable and executable (flags 5), aligned to the largest page.
    loaded = (1, 5, 0, ANCHOR_BASE, ANCHOR_BASE, size, size, 0x10000)
    return header.pack(*head, *sizes) + segment.pack(*loaded) + code


def compile_all(root: Path) -> None:
    """Compile every module: the root is read-only where the image runs."""
    done = compileall.compile_dir(
        root,
        maxlevels=64,
        quiet=1,
        force=True,
        workers=0,
        invalidation_mode=UNCHECKED,
        stripdir=str(root),
        prependdir="/",
    )
    if not done:
        sys.exit("a module could not be compiled")
    start = APP / "start.pyc"
    py_compile.compile(
        str(START),
        cfile=str(root / start.relative_to("/")),
        dfile=str(start.with_suffix(".py")),
        doraise=True,
        invalidation_mode=UNCHECKED,
    )


def bundle(root: Path) -> None:
    """Load every module of the fetcher inside the tree, with nothing else in sight; store them."""
    script = START.with_name(BUNDLE).read_text(encoding="utf-8")
    child = os.fork()
    if child == 0:
        os.chroot(root)
        os.chdir("/")
        os.execve(  # noqa: S606 - the interpreter under test
            sys.executable,
            ["python3", "-I", "-S", "-B", "-c", script, str(APP)],
            # As in the image: by it Python finds where its library lies.
            {"PATH": PATH},
        )
    if os.waitpid(child, 0)[1]:
        sys.exit("the fetcher does not load in its own tree")


def main(target: str) -> None:
    """Create the tree, compile its modules, and test it."""
    tree = Tree(Path(target))
    for folder in FOLDERS:
        (tree.root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        tree.write(name, text)
    if program := anchor_program(os.uname().machine):
        (tree.root / ANCHOR).write_bytes(program)
        (tree.root / ANCHOR).chmod(0o755)
    interpreter = Path(sys.executable)
    tree.add(interpreter, executable=True)
    compiled = [*extensions(), *(p for p in application() if ".so" in p.suffixes)]
    loader_name = re.compile(r"ld-linux|ld-musl|ld64")
    for path in libraries([interpreter, *compiled]):
        tree.add(path, executable=bool(loader_name.match(path.name)))
    for path in (*standard_library(), *extensions(), *application(), *certificates()):
        if path.suffix != importlib.machinery.BYTECODE_SUFFIXES[0]:
            tree.add(path)
    if Path("/etc/ld.so.cache").exists():
        tree.add(Path("/etc/ld.so.cache"))
    compile_all(tree.root)
    bundle(tree.root)


if __name__ == "__main__":
    main(sys.argv[1])
