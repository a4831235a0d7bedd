"""What the fetcher loads when it starts: a new import costs CPU time in every scan."""

import importlib.util
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[3]
_LOAD = "import fetcher.__main__, fetcher.fetch"
_PRELOAD = f"{_LOAD}, fetcher.preload; fetcher.preload.preload()"
_SCRIPT = """
import sys
# msgspec imports it where it is installed; the image does not have it.
sys.modules["typing_extensions"] = None
before = set(sys.modules)
sys.path += sys.argv[1:]
%s
print(*sorted(set(sys.modules) - before))
"""

#: The standard library's modules and packages for a page without TLS.
_STANDARD = frozenset(
    {
        *("base64", "binascii", "codecs", "collections", "contextlib", "copyreg", "datetime"),
        *("decimal", "encodings", "enum", "errno", "functools", "gc", "hashlib", "importlib"),
        *("array", "ipaddress", "itertools", "keyword", "math", "numbers", "operator", "platform"),
        *("copy", "genericpath", "os", "posixpath", "stat"),
        *("re", "reprlib", "resource", "select", "selectors", "signal", "socket", "struct"),
        *("textwrap", "types", "typing", "uuid", "warnings", "weakref", "zlib"),
    }
)
#: What TLS, HTTP/2, certificates and scripts in pages add.
_STANDARD_PRELOADED = frozenset(
    {
        *("abc", "ast", "atexit", "bisect", "calendar", "dataclasses", "dis", "email"),
        *("hmac", "inspect", "linecache", "locale", "logging", "opcode", "quopri", "random", "ssl"),
        *("string", "threading", "time", "token", "tokenize", "traceback", "urllib"),
    }
)
_PACKAGES = frozenset({"ada_url", "msgspec", "webencodings"})
_PACKAGES_PRELOADED = frozenset(
    {*("brotli", "cryptography", "h2", "hpack", "hyperframe", "mmh3", "selectolax", "zstandard")}
)
#: A name that compiled modules of Cython share.
_SHARED = frozenset({"cython_runtime"})
_OURS = frozenset(
    {
        *("fetcher", "fetcher.__main__", "fetcher.content", "fetcher.content.body"),
        *("fetcher.content.brotli_stream", "fetcher.content.charset", "fetcher.content.inflate"),
        *("fetcher.content.media_type", "fetcher.content.meta_charset", "fetcher.content.refresh"),
        *("fetcher.content.sniff", "fetcher.deadline", "fetcher.failure", "fetcher.favicon"),
        *("fetcher.fetch", "fetcher.http", "fetcher.http.client", "fetcher.http.cookie_date"),
        *("fetcher.http.cookies", "fetcher.http.decode", "fetcher.http.dial"),
        *("fetcher.http.exchange", "fetcher.http.framing", "fetcher.http.gateway"),
        *("fetcher.http.head", "fetcher.http.hop_recorder", "fetcher.http.redirects"),
        *("fetcher.http.session", "fetcher.page", "fetcher.page.evidence"),
        *("fetcher.page.noscript", "fetcher.page.read", "fetcher.report_writer"),
        *("fetcher.sanitize", "fetcher.streams", "fetcher.subprocess_task", "fetcher.watchdog"),
        *("safeurl", "safeurl.address", "safeurl.errors", "safeurl.model"),
        *("safeurl.model.egress_evidence", "safeurl.model.report", "safeurl.model.report_types"),
        *("safeurl.refang", "safeurl.state", "safeurl.url", "safeurl.url_host"),
    }
)
#: For kinds of pages that are rare, and for pages that crash the parser.
_OURS_RARE = frozenset({"fetcher.page.patterns", "fetcher.page.xml"})
_OWN_PACKAGES = frozenset({"fetcher", "safeurl"})


def _loaded(code: str) -> frozenset[str]:
    """Return the modules that an interpreter without site packages loads for the code."""
    spec = importlib.util.find_spec("msgspec")
    assert spec is not None
    assert spec.origin is not None
    done = subprocess.run(
        (sys.executable, "-I", "-S", "-c", _SCRIPT % code, ROOT, Path(spec.origin).parents[1]),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return frozenset(done.stdout.split())


def _names(loaded: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the names of packages and those of the standard library.

    Only top-level names are compared, and private names are left out: they differ between versions
    of Python.
    """
    top = {name.partition(".")[0] for name in loaded} - _OWN_PACKAGES
    public = {name for name in top if not name.startswith("_")}
    return public - sys.stdlib_module_names - _SHARED, public & sys.stdlib_module_names


def test_the_modules_at_start_are_the_listed_ones() -> None:
    """A new import is noticed here: import it where it is used, or add it to the list."""
    loaded = _loaded(_LOAD)
    packages, standard = _names(loaded)
    assert {name for name in loaded if name.partition(".")[0] in _OWN_PACKAGES} == _OURS
    assert packages == _PACKAGES
    assert standard <= _STANDARD


def test_the_preloaded_modules_are_the_listed_ones() -> None:
    """All modules of the fetcher are preloaded except for the rare ones, and the listed others."""
    loaded = _loaded(_PRELOAD)
    packages, standard = _names(loaded)
    every = {info.name for info in pkgutil.walk_packages([str(ROOT / "fetcher")], "fetcher.")}
    assert every - loaded == _OURS_RARE
    assert packages == _PACKAGES | _PACKAGES_PRELOADED
    assert standard <= _STANDARD | _STANDARD_PRELOADED
