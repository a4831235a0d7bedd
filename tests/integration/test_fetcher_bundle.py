"""The file from which the fetcher's modules are loaded in its image, made with this interpreter."""

import importlib.util
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from safeurl.model.report import READY_LINE
from safeurl.state import Outcome
from tests.support.certificates import make_certificate
from tests.support.fetching import ROOT, request_line, run_fetcher
from tests.support.pages import PageServer, html

_START, _BUNDLE = ROOT / "docker/fetcher_start.py", ROOT / "docker/fetcher_bundle.py"
_OPTIONS = ("-I", "-S", "-B")
#: As in the fetcher's lock, by the names under which they are imported.
_PACKAGES = (
    *("ada_url", "_brotli", "brotli", "_cffi_backend", "cffi", "cryptography", "h2", "hpack"),
    *("hyperframe", "mmh3", "msgspec", "selectolax", "webencodings", "zstandard"),
)
#: Installs the importer as the start program does.
_INSTALL = """
import importlib.util, re, sys
sys.path.append(sys.argv[1])
spec = importlib.util.spec_from_file_location("start", sys.argv[1] + "/start.pyc")
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
importer = start.BundleImporter(start.BUNDLE)
sys.meta_path.insert(0, importer)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the image's: packages, our modules, the bundle and the start program."""
    made = tmp_path_factory.mktemp("image")
    for name in ("fetcher", "safeurl"):
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        found = origin.parent if origin.name.startswith("__init__.") else origin
        (made / found.name).symlink_to(found)
    bundling = (sys.executable, *_OPTIONS, "-c", _BUNDLE.read_text(), made)
    subprocess.run(bundling, check=True, timeout=120)
    py_compile.compile(str(_START), cfile=str(made / "start.pyc"), doraise=True)
    return made


def _command(folder: Path, *options: str) -> Sequence[str]:
    return (sys.executable, *_OPTIONS, str(folder / "start.pyc"), *options)


def test_a_page_is_fetched_with_the_modules_of_the_bundle(folder: Path, tmp_path: Path) -> None:
    """It works without the modules' own files, over TLS too, cold and preloaded."""
    certificate = make_certificate("127.0.0.1").write(tmp_path / "tls.pem")
    hidden = folder / "fetcher.away"
    (folder / "fetcher").rename(hidden)
    try:
        with PageServer({"/": lambda _: html("<title>A</title>")}, certificate=certificate) as site:
            run = run_fetcher(request_line(site.url("/")), command=_command(folder))
    finally:
        hidden.rename(folder / "fetcher")
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "A"
    assert run.stderr == ""


def test_it_says_when_it_is_ready(folder: Path) -> None:
    """The options are the fetcher's own."""
    done = subprocess.run(
        _command(folder, "--preload"), input=b"", capture_output=True, check=False, timeout=60
    )
    assert done.stdout == READY_LINE
    assert b"The request cannot be run" in done.stderr


def test_no_pattern_is_compiled_again(folder: Path) -> None:
    """Every regular expression of the modules at start comes from the bundle."""
    printed = _run(
        folder,
        "compile, compiled = re._compiler.compile, []\n"
        "re._compiler.compile = lambda p, f=0: compiled.append(p) or compile(p, f)\n"
        "import fetcher.fetch, fetcher.preload\n"
        "fetcher.preload.import_modules()\n"
        "print(len(re._cache) > 100, compiled)\n",
    )
    assert printed == "True []\n"


def test_modules_that_are_not_in_the_bundle_are_imported_as_usual(folder: Path) -> None:
    """A module that no fetch needs comes from its own file; one that is used late works."""
    printed = _run(
        folder,
        "import wave, inspect, fetcher.sanitize\n"
        "print(importer.find_spec('wave'), inspect.isfunction(fetcher.sanitize.sanitize))\n"
        "print(fetcher.sanitize.__file__, fetcher.__path__)\n",
    )
    own = folder / "fetcher"
    assert printed == f"None True\n{own / 'sanitize.py'} ['{own}']\n"


def _run(folder: Path, code: str) -> str:
    done = subprocess.run(
        (sys.executable, *_OPTIONS, "-c", f"{_INSTALL}{code}", folder),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return done.stdout
