"""Submits each URL that `submit-scan` is given, and reports it: accepted, refused or a duplicate.

A list may be long, so it is submitted in batches while it is read. Submitted batches stay submitted
even if a later one fails.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from safeurl.cli.commands.submit_input import MAX_LINE, Given
from safeurl.cli.entry import complain, note
from safeurl.cli.view.screen import Screen
from safeurl.defang import safe_text, safe_url
from safeurl.errors import RequestError, UnavailableError, UrlRefusedError
from safeurl.pasted import find_urls
from safeurl.printable import counted
from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT, Submission
from safeurl.url import Reason

#: The limit of a reason, which is our own sentence with a short quotation.
_MAX_REASON: Final = 400
#: Enough bytes to distinguish a million URLs.
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class _Found:
    """A URL as it was given, and its source."""

    url: str
    given: Given
    #: The other words of the same text, which are not URLs.
    left_out: tuple[str, ...] = ()


class Intake:
    """Submits URLs and reports each; `ids` are the ids of the scans."""

    def __init__(self, service: Service, *, source: str, as_document: bool, ids_only: bool) -> None:
        """Store the options: print JSON documents, or only ids because no results follow."""
        self.ids: list[str] = []
        self.refused = 0
        self._duplicates = 0
        self._service = service
        self._source = source
        self._as_document = as_document
        self._ids_only = ids_only
        self._warned: set[str] = set()
        #: The line of each URL, by the digest of the URL.
        self._lines: dict[bytes, Given] = {}

    async def take(self, given: Iterable[Given]) -> None:
        """Submit every URL that can be scanned; report an early end after the counts."""
        batch: list[_Found] = []
        has_lines = False
        try:
            for each in given:
                has_lines = has_lines or each.line is not None
                for found in self._usable(each):
                    batch.append(found)
                    if len(batch) == MAX_SUBMIT:
                        await self._submit(batch)
                        batch = []
            if batch:
                await self._submit(batch)
        except (RequestError, UnavailableError):
            self._count(has_lines=has_lines)
            raise
        self._count(has_lines=has_lines)

    def _usable(self, given: Given) -> Iterator[_Found]:
        """Yield the URLs of a text that can be scanned; report the others."""
        if not given.is_complete:
            reason = f"The line is longer than {MAX_LINE:,} characters. Give one URL a line."
            self._refuse(_Found(given.text, given), UrlRefusedError(Reason.TOO_LONG, reason))
            return
        pasted = find_urls(given.text)
        if pasted.left_out:
            words = safe_text(" ".join(pasted.left_out))
            note(f"{_place(given)}Left out, because it is not a URL: {words}")
        for url in pasted.urls or (given.text,):
            found = _Found(url, given, pasted.left_out)
            try:
                normalised = self._service.normalised(url)
            except UrlRefusedError as error:
                self._refuse(found, error)
            else:
                if not self._is_duplicate(normalised, found):
                    yield found

    def _refuse(self, found: _Found, error: UrlRefusedError) -> None:
        self.refused += 1
        shown = safe_text(found.url)
        if error.reason == Reason.NO_URL and found.given.line:
            complain(f"No URL in {safe_text(found.given.place)}: {shown}")
        else:
            complain(f"{_place(found.given)}{shown}: {safe_text(str(error), _MAX_REASON)}")
        if self._as_document:
            self._document(found, error=error.code, reason=error.reason, message=str(error))

    def _is_duplicate(self, normalised: str, found: _Found) -> bool:
        """Return whether an earlier line had this URL; arguments may repeat a URL."""
        if found.given.line is None:
            return False
        digest = hashlib.blake2b(normalised.encode(), digest_size=_DIGEST_BYTES).digest()
        before = self._lines.get(digest)
        if before is None:
            self._lines[digest] = found.given
            return False
        self._duplicates += 1
        if self._as_document:
            self._document(found, duplicate_of={"line": before.line, "file": before.file or None})
        return True

    async def _submit(self, batch: list[_Found]) -> None:
        submission = await self._service.submit([found.url for found in batch], source=self._source)
        self.ids += [scan.id for scan in submission.scans]
        self._report(submission, batch)

    def _report(self, submission: Submission, batch: list[_Found]) -> None:
        """Print the ids on standard output, or on standard error if results follow there."""
        screen, errors = Screen(), Screen(stderr=True)
        if submission.warning not in {"", *self._warned}:
            self._warned.add(submission.warning)
            errors.line(("Warning:", "bold yellow"), f" {submission.warning}")
        for scan, found in zip(submission.scans, batch, strict=True):
            if self._ids_only and self._as_document:
                self._document(found, id=scan.id, url=scan.url, queued=submission.queued)
            elif self._ids_only:
                screen.line(scan.id)
            else:
                errors.line(f"{scan.id}  {safe_url(scan.url)}")
        screen.flush()

    def _document(self, found: _Found, **facts: object) -> None:
        place = {"line": found.given.line, "file": found.given.file or None}
        words = {"left_out": found.left_out}
        Screen().document({"submitted_url": found.url, **place, **words, **facts})

    def _count(self, *, has_lines: bool) -> None:
        """Print the number of URLs of each kind."""
        if not has_lines:
            return
        taken = len(self.ids)
        if self._as_document:
            counts = {"taken": taken, "refused": self.refused, "duplicates": self._duplicates}
            Screen().document({"counts": counts})
        duplicates = counted(self._duplicates, "duplicate")
        note(f"{taken:,} taken, {self.refused:,} refused, {duplicates}.")


def _place(given: Given) -> str:
    return f"{safe_text(given.place)}: " if given.place else ""
