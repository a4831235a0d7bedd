"""Verifies the audit trail: every row, every seal, and the trail of every scan.

The schema is checked first. Its triggers and CHECKs protect the rows, and a replaced table must not
be read, because it may be a view that never ends.
Writes during the verification are not faults: rows and seals are read up to their ends at the
start, and each scan is read at one moment with its trail.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from safeurl.model.audit import NO_SEAL, AuditRow, Risk, Seal, trail_faults
from safeurl.model.seal_check import Difference, compare, explained, is_shaped, missing
from safeurl.ports.audit import AuditLedger
from safeurl.services.attempt_check import attempt_faults

#: The most faults that are listed; further ones are only counted.
MAX_FAULTS = 50

_ROWS_PAGE = 1_000
_SEALS_PAGE = 50
_SCANS_PAGE = 200

#: The most differences that are stored. They are explained together, because a row may have moved
#: from one seal's range to another's.
_MAX_DIFFERENCES = 10_000

#: Lower than every id that SQLite can assign.
_LOWEST = -(2**63)

#: Called at intervals with the numbers of rows, seals and scans that were read.
OnProgress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A seal that was kept in another place, where the owner of the database cannot change it."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of a verification."""

    rows: int
    #: The number of rows after the last seal.
    unsealed: int
    seals: int
    scans: int
    #: The last seal, which can be kept as an anchor.
    head: Anchor | None
    #: The first faults, one sentence each.
    faults: tuple[str, ...]
    fault_count: int


async def verify(
    ledger: AuditLedger,
    *,
    anchors: Sequence[Anchor] = (),
    on_progress: OnProgress = lambda *_: None,
) -> Verification:
    """Verify the complete trail with limited memory, and return its faults."""
    verifier = _Verifier(ledger, anchors, on_progress)
    if not await verifier.schema():
        return verifier.verification()
    last_row, last_seal = await ledger.last_numbers()
    await verifier.rows_before_the_first()
    await verifier.seals(last_seal)
    await verifier.rows_after_the_seals(last_row)
    await verifier.beyond(last_row, last_seal)
    await verifier.trails()
    return verifier.verification()


class _Verifier:
    """One verification: its position and its findings."""

    def __init__(
        self, ledger: AuditLedger, anchors: Sequence[Anchor], on_progress: OnProgress
    ) -> None:
        self._ledger = ledger
        self._anchors = list(anchors)
        self._on_progress = on_progress
        self._rows = _Rows(ledger)
        self._previous: Seal | None = None
        #: The last id of the last seal.
        self._sealed_to = 0
        self._unsealed = self._seals = self._scans = 0
        self._differences: list[Difference] = []
        self._faults: list[str] = []
        self._fault_count = 0

    async def schema(self) -> bool:
        """Check the schema, then the rows by its rules; return whether the rows may be read."""
        faults = await self._ledger.schema_faults()
        self._add(fault.text for fault in faults)
        risk = max((fault.risk for fault in faults), default=Risk.NONE)
        if risk is Risk.READING:
            self._add(["The audit trail was not read, because its tables are not SafeURL's."])
        elif risk is Risk.CHECKING:
            self._add(["The rows were not checked: checking may run what is not SafeURL's."])
        else:
            self._add(await self._ledger.content_faults())
        return risk is not Risk.READING

    async def rows_before_the_first(self) -> None:
        """Report rows with an id below 1."""
        async for row in self._rows.upto(0):
            self._add([f"Row {row.id} (scan {row.scan_id}) was put in before the first."])

    async def seals(self, last: int) -> None:
        """Check that each seal continues the previous one and matches its rows."""
        after = _LOWEST
        while page := await self._ledger.seals(after=after, limit=_SEALS_PAGE):
            for seal in page:
                if seal.number <= last:
                    await self._seal(seal)
            after = page[-1].number
            if after >= last:
                break
        self._add(_missing_seals(self._number() + 1, last))
        self._add(
            f"There is no seal {anchor.number}, which an anchor names." for anchor in self._anchors
        )
        self._add(explained(self._differences))

    async def _seal(self, seal: Seal) -> None:
        if seal.number <= 0:
            self._add([f"Seal {seal.number} was put in before the first."])
            return
        self._add(_chain_faults(self._previous, seal, self._sealed_to))
        self._add(self._anchor_faults(seal))
        self._previous = seal
        self._seals += 1
        if not is_shaped(seal):
            self._add([f"Seal {seal.number} was edited: its range and digests do not fit."])
            return
        await self._rows.skip_to(seal.first_id)
        faults, differences = compare(seal, [row async for row in self._rows.upto(seal.last_id)])
        self._add(faults)
        space = _MAX_DIFFERENCES - len(self._differences)
        self._differences += differences[:space]
        self._fault_count += len(differences[space:])
        self._sealed_to = seal.last_id
        self._report()

    def _anchor_faults(self, seal: Seal) -> list[str]:
        met = [anchor for anchor in self._anchors if anchor.number == seal.number]
        self._anchors = [anchor for anchor in self._anchors if anchor not in met]
        return [
            f"Seal {seal.number} is not the anchor {anchor.number}:{anchor.sha256}."
            for anchor in met
            if anchor.sha256 != seal.sha256
        ]

    async def rows_after_the_seals(self, last: int) -> None:
        """Check that no id after the last seal is missing, up to the last assigned one."""
        if self._sealed_to > last:
            self._add([f"Rows are sealed to {self._sealed_to}, but only {last} were counted."])
        expected = self._sealed_to + 1
        async for row in self._rows.upto(last):
            if row.id > expected:
                self._add([f"{missing(expected, row.id - 1)}; not sealed yet."])
            expected = row.id + 1
            self._unsealed += 1
            if not self._unsealed % _ROWS_PAGE:
                self._report()
        if expected <= last:
            self._add([f"{missing(expected, last)}: the tail of the trail was cut off."])

    async def beyond(self, last_row: int, last_seal: int) -> None:
        """Read the counters again: rows and seals above them were forged, others are new."""
        rows = await self._ledger.rows(after=max(last_row, self._sealed_to), limit=_ROWS_PAGE)
        seals = await self._ledger.seals(after=last_seal, limit=_SEALS_PAGE)
        row_count, seal_count = await self._ledger.last_numbers()
        self._add(
            f"Row {row.id} (scan {row.scan_id}) was put in: only {row_count} were counted."
            for row in rows
            if row.id > row_count
        )
        self._add(
            f"Seal {seal.number} was put in: only {seal_count} were counted."
            for seal in seals
            if seal.number > seal_count
        )

    async def trails(self) -> None:
        """Check that the trail of each scan is legal, and matches the scan and its attempts."""
        after = ""
        while page := await self._ledger.trails(after=after, limit=_SCANS_PAGE):
            for trail in page:
                faults = (*trail_faults(trail), *attempt_faults(trail))
                self._add(f"Scan {trail.scan_id}: {fault}" for fault in faults)
            self._scans += len(page)
            self._report()
            after = page[-1].scan_id

    def verification(self) -> Verification:
        """Return the result."""
        head = self._previous
        return Verification(
            rows=self._rows.seen,
            unsealed=self._unsealed,
            seals=self._seals,
            scans=self._scans,
            head=Anchor(number=head.number, sha256=head.sha256) if head else None,
            faults=tuple(self._faults),
            fault_count=self._fault_count,
        )

    def _number(self) -> int:
        return self._previous.number if self._previous else 0

    def _add(self, faults: Iterable[str]) -> None:
        for fault in faults:
            self._fault_count += 1
            if len(self._faults) < MAX_FAULTS:
                self._faults.append(fault)

    def _report(self) -> None:
        self._on_progress(self._rows.seen, self._seals, self._scans)


class _Rows:
    """The rows in order of their ids, read in pages."""

    def __init__(self, ledger: AuditLedger) -> None:
        self._ledger = ledger
        self._after = _LOWEST
        self._page: deque[AuditRow] = deque()
        #: The number of different rows that were read, and their highest id.
        self.seen = 0
        self._furthest = _LOWEST

    async def upto(self, last: int) -> AsyncIterator[AuditRow]:
        """Yield the next rows, up to the id `last`."""
        while self._page or await self._next_page():
            while self._page and self._page[0].id <= last:
                row = self._page.popleft()
                if row.id > self._furthest:
                    self._furthest = row.id
                    self.seen += 1
                yield row
            if self._page:
                return

    async def skip_to(self, first: int) -> None:
        """Continue with the id `first`, also backwards: a forged seal may begin anywhere."""
        if first <= self._furthest:
            self._page.clear()
            self._after = first - 1
        async for _ in self.upto(first - 1):
            pass

    async def _next_page(self) -> bool:
        self._page.extend(await self._ledger.rows(after=self._after, limit=_ROWS_PAGE))
        if self._page:
            self._after = self._page[-1].id
        return bool(self._page)


def _chain_faults(previous: Seal | None, seal: Seal, sealed_to: int) -> Iterable[str]:
    number = previous.number if previous else 0
    if seal.number > number + 1:
        # The missing seals are reported; the broken chain between them needs no other sentence.
        yield from _missing_seals(number + 1, seal.number - 1)
        if seal.first_id > sealed_to + 1:
            yield f"Rows {sealed_to + 1} to {seal.first_id - 1} lie under no seal."
        return
    if seal.previous_sha256 != (previous.sha256 if previous else NO_SEAL):
        yield f"Seal {seal.number} does not follow on seal {number}: the chain is broken."
    if seal.first_id != sealed_to + 1:
        yield f"Seal {seal.number} begins at row {seal.first_id}, not at row {sealed_to + 1}."


def _missing_seals(first: int, last: int) -> Iterable[str]:
    if first == last:
        yield f"Seal {first} is missing."
    elif first < last:
        yield f"Seals {first} to {last} are missing."
