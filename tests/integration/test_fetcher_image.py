"""The fetcher's image holds the interpreter, its libraries and our code, and no other program."""

import io
import json
import re
import stat
import tarfile

import pytest

from safeurl.settings import Settings
from tests.support.images import docker_client

#: What the image weighed when it still was the base image with the fetcher on top.
_BEFORE_BYTES = 154_382_680
_PYTHON = re.compile(r"usr/(local/)?bin/python3\.\d+")
_LOADER = re.compile(r"(usr/)?lib(64)?/(\S+/)?ld-linux-\S+\.so\.\d")
_HASHED_AUTHORITY = re.compile(r"etc/ssl/certs/[0-9a-f]{8}\.\d+")
_TOOLS = {
    *("sh", "bash", "dash", "ash", "busybox", "env", "perl", "awk", "mawk", "sed", "tar", "cp"),
    *("apt", "apt-get", "dpkg", "rpm", "apk", "pip", "pip3", "curl", "wget", "nc", "ssh", "su"),
    *("mount", "umount", "chmod", "cat", "ls", "ldd", "ldconfig", "gcc", "cc", "gdb", "strace"),
}
_ANYBODY_WRITES = stat.S_IWGRP | stat.S_IWOTH


@pytest.fixture(scope="module")
def image() -> list[tarfile.TarInfo]:
    """Return every entry of every layer, as the image holds them before any container is made."""
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
    """Beside it the dynamic loader is executable, since the kernel starts every program by it."""
    programs = [each.name for each in image if each.isfile() and each.mode & 0o111]
    assert len(programs) == 2
    assert [name for name in programs if _PYTHON.fullmatch(name)]
    assert [name for name in programs if _LOADER.fullmatch(name)]


def test_no_shell_and_no_tool_is_there(image: list[tarfile.TarInfo]) -> None:
    """Under no path, as a file or as a link."""
    assert {each.name for each in image if each.name.rpartition("/")[2] in _TOOLS} == set()


def test_nothing_can_be_written_and_nothing_gives_rights(image: list[tarfile.TarInfo]) -> None:
    """All belongs to root and nobody else may write; no set-uid, no device, no capability."""
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
    """The root is read-only where it runs: what is not compiled now would be at each start."""
    names = {each.name for each in image}
    modules = {name for name in names if name.endswith(".py")}
    compiled = {re.sub(r"__pycache__/(.+)\.cpython-\d+\.pyc$", r"\1.py", name) for name in names}
    assert len(modules) > 300
    assert modules - compiled == set()


def test_authorities_are_found_by_hash(image: list[tarfile.TarInfo]) -> None:
    """OpenSSL opens the one that it needs, where one file with all would be read at each start."""
    assert len([each for each in image if _HASHED_AUTHORITY.fullmatch(each.name)]) > 100


def test_the_image_is_smaller_than_it_was() -> None:
    """By what was left out; the fetcher itself has not grown into it."""
    with docker_client() as client:
        assert client.images.get(Settings.read({}).fetcher_image).attrs["Size"] < _BEFORE_BYTES
