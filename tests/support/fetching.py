"""Runs the fetcher as a process and reads its report as strictly as a worker does."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from safeurl.address import PolicyOverrides
from safeurl.model.report import (
    ArtefactLine,
    Body,
    EvidenceLine,
    FetchRequest,
    Hop,
    Line,
    Page,
    Refusal,
    ReportLine,
    encode_line,
)

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "fetcher")

_POLICY_FIELDS = frozenset(PolicyOverrides.__struct_fields__)
_DECODER = msgspec.json.Decoder(Line)


@dataclass(frozen=True, slots=True)
class Run:
    """The exit code and the output of one run of the fetcher."""

    code: int
    lines: tuple[Line, ...]
    stderr: str

    @property
    def evidence(self) -> tuple[EvidenceLine, ...]:
        """All lines of evidence."""
        return tuple(line for line in self.lines if isinstance(line, EvidenceLine))

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All hops, in order."""
        return tuple(line.hop for line in self.evidence if line.hop)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """All refusals, in order."""
        return tuple(line.refusal for line in self.evidence if line.refusal)

    @property
    def body(self) -> Body:
        """The only body."""
        (body,) = (line.body for line in self.evidence if line.body)
        return body

    @property
    def page(self) -> Page:
        """The only page, with its icon."""
        (page,) = (line.page for line in self.evidence if line.page)
        icons = [line.favicon for line in self.evidence if line.favicon]
        return replace(page, favicon=icons[0]) if icons else page

    @property
    def report(self) -> ReportLine:
        """The last line, which must be the report."""
        last = self.lines[-1]
        if not isinstance(last, ReportLine):
            raise TypeError(f"the last line is {last!r}")
        return last

    def artefact(self, kind: str) -> bytes:
        """Return an artefact from its pieces."""
        lines = [x for x in self.lines if isinstance(x, ArtefactLine) and x.kind == kind]
        if [line.last for line in lines] != [False] * (len(lines) - 1) + [True] * bool(lines):
            raise ValueError(f"the pieces of {kind} do not end with the last one")
        return b"".join(line.data for line in lines)


def read_lines(stdout: bytes) -> tuple[Line, ...]:
    """Decode a report; a line that is not valid raises an error."""
    return tuple(_DECODER.decode(line) for line in stdout.splitlines())


def make_request(url: str, **fields: object) -> FetchRequest:
    """Return a request; `fields` are its own and those of its policy, by name."""
    policy = {name: fields.pop(name) for name in _POLICY_FIELDS & fields.keys()}
    defaults: dict[str, object] = {"scan": "scan-1", "attempt": 1}
    return msgspec.convert({**defaults, "url": url, "policy": policy, **fields}, FetchRequest)


def request_line(url: str, **fields: object) -> bytes:
    """Return a request line with which the fetcher may connect to loopback."""
    return encode_line(make_request(url, **{"allow_cidrs": ("127.0.0.0/8",), **fields}))


def run_fetcher(
    stdin: bytes,
    *,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run the fetcher to its end and return its output."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )
    return Run(done.returncode, read_lines(done.stdout), done.stderr.decode(errors="replace"))


def fetch(url: str, **fields: object) -> Run:
    """Fetch a URL with the given fields of the request."""
    return run_fetcher(request_line(url, **fields))
