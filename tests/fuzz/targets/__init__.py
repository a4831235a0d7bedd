"""The targets by name; each asserts its own properties and lets only defects raise."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

#: Module and function of each target, so that a run imports, and instruments, only its own.
TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive": "tests.fuzz.targets.archive:fuzz_archive",
        "chunked_answer": "tests.fuzz.targets.chunked:fuzz_answer",
        "chunked_request": "tests.fuzz.targets.upload:fuzz_request",
        "database": "tests.fuzz.targets.database:fuzz_database",
        "dns_answer": "tests.fuzz.targets.dns_answer:fuzz_dns_answer",
        "html": "tests.fuzz.targets.html:fuzz_html",
        "report": "tests.fuzz.targets.report:fuzz_report",
        "response_chunks": "tests.fuzz.targets.response:fuzz_chunks",
        "response_head": "tests.fuzz.targets.response:fuzz_head",
        "request_head": "tests.fuzz.targets.request_head:fuzz_request_head",
        "script": "tests.fuzz.targets.script:fuzz_script",
        "url": "tests.fuzz.targets.url:fuzz_url",
    }
)


def load_target(name: str) -> Callable[[bytes], None]:
    """Import and return a target; KeyError where there is none of this name."""
    module, _, function = TARGETS[name].partition(":")
    target: Callable[[bytes], None] = getattr(import_module(module), function)
    return target
