"""Tiny hostile images: the project's base image with one Python script as its entry point."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from docker.client import DockerClient  # type: ignore[import-not-found]  # - docker/ hides the SDK

from worker.sandbox import labels

BASE_IMAGE = os.environ.get("SAFEURL_BASE_IMAGE", "safeurl-base:latest")
SOCKET_PATH = os.environ.get("DOCKER_SOCKET_PATH", "/var/run/docker.sock")


@contextmanager
def docker_client() -> Iterator[DockerClient]:
    """Open a client of the tests' engine."""
    client = DockerClient(f"unix://{SOCKET_PATH}", version="auto")
    try:
        yield client
    finally:
        client.close()


@contextmanager
def script_image(script: str) -> Iterator[str]:
    """Build an image that runs this Python script, yield its tag, and remove it at the end."""
    with command_image(["python3", "-c", script]) as tag:
        yield tag


@contextmanager
def command_image(command: Sequence[str]) -> Iterator[str]:
    """Build an image with this entry point, yield its tag, and remove it at the end."""
    dockerfile = f"FROM {BASE_IMAGE}\nENTRYPOINT {json.dumps(list(command))}\n"
    name = hashlib.sha256(dockerfile.encode()).hexdigest()[:12]
    tag = f"safeurl-test-{name}:{os.getpid()}"
    with docker_client() as client:
        client.images.build(
            fileobj=_context(dockerfile),
            custom_context=True,
            tag=tag,
            rm=True,
            labels={labels.MANAGED: "true", labels.INSTANCE: "tests"},
        )
        try:
            yield tag
        finally:
            client.images.remove(tag, force=True)


def _context(dockerfile: str) -> io.BytesIO:
    data = dockerfile.encode()
    entry = tarfile.TarInfo("Dockerfile")
    entry.size = len(data)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed
