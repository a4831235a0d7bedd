"""The fetcher's image contains the interpreter, its libraries and our code, and nothing else."""

import io
import json
import re
import stat
import tarfile

import pytest

from safeurl.settings import Settings
from tests.support.images import docker_client

#: Size of the former image, which was the base image plus the fetcher.
_BEFORE_BYTES = 154_382_680
_PYTHON = re.compile(r"usr/(local/)?bin/python3\.\d+")
_LOADER = re.compile(r"(usr/)?lib(64)?/(\S+/)?ld-linux-\S+\.so\.\d")
_HASHED_AUTHORITY = re.compile(r"etc/ssl/certs/[0-9a-f]{8}\.\d+")
#: The size of the headers of an ELF file with one segment, and room for ten instructions.
_ANCHOR_BYTES = 160
_TOOLS = {
    *("sh", "bash", "dash", "ash", "busybox", "env", "perl", "awk", "mawk", "sed", "tar", "cp"),
    *("apt", "apt-get", "dpkg", "rpm", "apk", "pip", "pip3", "curl", "wget", "nc", "ssh", "su"),
    *("mount", "umount", "chmod", "cat", "ls", "ldd", "ldconfig", "gcc", "cc", "gdb", "strace"),
}
_ANYBODY_WRITES = stat.S_IWGRP | stat.S_IWOTH


@pytest.fixture(scope="module")
def image() -> list[tarfile.TarInfo]:
    """Return all entries of all layers of the image, without starting a container."""
    with docker_client() as client:
        saved = b"".join(client.images.get(Settings.read({}).fetcher_image).save())
    with tarfile.open(fileobj=io.BytesIO(saved)) as outer:
        manifest = json.load(_opened(outer, "manifest.json"))
        entries = []
        for layer in manifest[0]["Layers"]:
            with tarfile.open(fileobj=_opened(outer, layer)) as inner:
                entries += inner.getmembers()
    assert len(entries) > 500
    return entries


def _opened(tar: tarfile.TarFile, name: str) -> io.BytesIO:
    found = tar.extractfile(name)
    assert found is not None
    return io.BytesIO(found.read())


def test_the_interpreter_is_the_only_program(image: list[tarfile.TarInfo]) -> None:
    """Only the interpreter, the dynamic loader, which starts it, and the anchor are executable.

    The anchor's program is an ELF header, a segment and a few instructions: it cannot do more.
    """
    found = [each for each in image if each.isfile() and each.mode & 0o111]
    assert [each.name for each in found if each.size < _ANCHOR_BYTES] == ["anchor"]
    programs = [each.name for each in found]
    assert len(programs) == 3
    assert [name for name in programs if _PYTHON.fullmatch(name)]
    assert [name for name in programs if _LOADER.fullmatch(name)]


def test_there_is_no_shell_and_no_tool(image: list[tarfile.TarInfo]) -> None:
    """No such program exists under any path, neither as a file nor as a link."""
    assert {each.name for each in image if each.name.rpartition("/")[2] in _TOOLS} == set()


def test_no_file_is_writable_or_privileged(image: list[tarfile.TarInfo]) -> None:
    """All files belong to root and are read-only for others; no set-uid, device or capability."""
    files = [each for each in image if not each.issym()]
    assert [each.name for each in files if each.mode & _ANYBODY_WRITES] == []
    assert [each.name for each in files if each.mode & (stat.S_ISUID | stat.S_ISGID)] == []
    assert {(each.uid, each.gid) for each in image} == {(0, 0)}
    assert [
        each.name for each in image if not (each.isfile() or each.isdir() or each.issym())
    ] == []
    assert [
        each.name for each in image if "SCHILY.xattr.security.capability" in each.pax_headers
    ] == []


def test_every_module_is_compiled(image: list[tarfile.TarInfo]) -> None:
    """The root is read-only at run time, so each module must be compiled in advance."""
    names = {each.name for each in image}
    modules = {name for name in names if name.endswith(".py")}
    compiled = {re.sub(r"__pycache__/(.+)\.cpython-\d+\.pyc$", r"\1.py", name) for name in names}
    assert len(modules) > 300
    assert modules - compiled == set()


def test_authorities_are_found_by_hash(image: list[tarfile.TarInfo]) -> None:
    """OpenSSL opens only the authority that it needs, instead of reading a bundle at each start."""
    assert len([each for each in image if _HASHED_AUTHORITY.fullmatch(each.name)]) > 100


def test_the_image_is_smaller_than_it_was() -> None:
    """The image became smaller because programs were left out."""
    with docker_client() as client:
        assert client.images.get(Settings.read({}).fetcher_image).attrs["Size"] < _BEFORE_BYTES
