"""What an attempt leaves behind when it ends its scan."""

from dataclasses import dataclass

from safeurl.model.scan import Artefact, Result
from safeurl.state import Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRecord:
    """All that is written when a scan reaches a final state, in one batch."""

    state: State
    outcome: Outcome
    detail: str | None
    result: Result
    artefacts: tuple[Artefact, ...] = ()
    #: The `Evidence` as JSON where it was not stored before (a scan that never was analysed).
    evidence_json: str | None = None
