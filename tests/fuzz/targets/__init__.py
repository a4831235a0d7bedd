"""The targets by name; each asserts its own properties, and only a defect raises an error."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

#: Module and function of each target, so that a run imports, and instruments, only its own.
TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "answer": "tests.fuzz.targets.answer:fuzz_answer",
        "archive": "tests.fuzz.targets.archive:fuzz_archive",
        "chunked_answer": "tests.fuzz.targets.chunked:fuzz_answer",
        "chunked_request": "tests.fuzz.targets.upload:fuzz_request",
        "cookie": "tests.fuzz.targets.header:fuzz_cookie",
        "database": "tests.fuzz.targets.database:fuzz_database",
        "dns_answer": "tests.fuzz.targets.dns_answer:fuzz_dns_answer",
        "html": "tests.fuzz.targets.html:fuzz_html",
        "http2": "tests.fuzz.targets.answer:fuzz_http2",
        "media_type": "tests.fuzz.targets.header:fuzz_media_type",
        "pasted": "tests.fuzz.targets.pasted:fuzz_pasted",
        "report": "tests.fuzz.targets.report:fuzz_report",
        "response_chunks": "tests.fuzz.targets.response:fuzz_chunks",
        "response_head": "tests.fuzz.targets.response:fuzz_head",
        "request_head": "tests.fuzz.targets.request_head:fuzz_request_head",
        "script": "tests.fuzz.targets.script:fuzz_script",
        "settings_text": "tests.fuzz.targets.settings_text:fuzz_settings_text",
        "url": "tests.fuzz.targets.url:fuzz_url",
        "xml": "tests.fuzz.targets.xml:fuzz_xml",
    }
)

#: Targets that are run together, in a time that they share.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # Answers as browsers read them, and what people paste and set.
        "reading": (
            *("response_head", "response_chunks", "answer", "http2", "cookie", "media_type"),
            *("html", "script", "xml", "settings_text", "pasted", "url"),
        ),
    }
)


def load_target(name: str) -> Callable[[bytes], None]:
    """Import and return a target; KeyError if there is no such target."""
    module, _, function = TARGETS[name].partition(":")
    target: Callable[[bytes], None] = getattr(import_module(module), function)
    return target
