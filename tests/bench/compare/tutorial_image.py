"""The tutorial's image: our base image with Debian's own packages of requests and BeautifulSoup."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.compare.lab import LABEL, docker
from tests.bench.compare.tutorial_job import PROGRAM
from tests.support.fetching import ROOT
from tests.support.images import BASE_IMAGE

#: What `apt-get install python3-requests python3-bs4` brings, all of it plain Python.
_PACKAGES = (
    *("python3-requests", "python3-urllib3", "python3-certifi", "python3-chardet", "python3-idna"),
    *("python3-charset-normalizer", "python3-six", "python3-bs4", "python3-soupsieve"),
)
#: Downloaded packages stay here, so that later runs need no network.
_CACHE = ROOT / ".cache" / "bench" / "packages"
_TAG = "safeurl-bench-tutorial:latest"
_LIBRARIES = "usr/lib/python3/dist-packages"
_DOCKERFILE = f"""
FROM {BASE_IMAGE}
COPY packages /packages
COPY open_page.py /
# Compiled, as the packages' own scripts would do.
RUN ["python3", "-m", "compileall", "-q", "/packages"]
ENV PYTHONPATH=/packages
ENTRYPOINT ["python3", "/open_page.py"]
"""


def reason_without() -> str | None:
    """Return why the image cannot be made here; None if it can."""
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    return f"there is no {missing[0]}" if missing else None


@contextmanager
def tutorial_image() -> Iterator[str]:
    """Build the image, yield its tag, and remove it at the end."""
    packages = _download()
    with tempfile.TemporaryDirectory() as name:
        context = Path(name)
        root = context / "root"
        for package in packages:
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)  # noqa: S607 - the system's
        shutil.copytree(root / _LIBRARIES, context / "packages")
        shutil.rmtree(root)
        (context / "open_page.py").write_text(PROGRAM)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        label = f"{LABEL}=tutorial"
        docker("build", "--quiet", "--network", "none", "--label", label, "--tag", _TAG, name)
    try:
        yield _TAG
    finally:
        docker("image", "rm", "--force", _TAG)


def _download() -> list[Path]:
    """Return the packages; those that the cache does not have come from the system's sources."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    names = json.dumps(_PACKAGES)
    listed = _CACHE / "complete.json"
    if not listed.exists() or listed.read_text() != names:
        subprocess.run(
            ["apt-get", "download", *_PACKAGES],  # noqa: S607 - the system's
            cwd=_CACHE,
            check=True,
            capture_output=True,
        )
        listed.write_text(names)
    return sorted(_CACHE.glob("*.deb"))
