"""How a fetch ends: an outcome of the closed list with one sentence of detail."""

from dataclasses import dataclass

from safeurl.state import Outcome


@dataclass(frozen=True, slots=True)
class Ending:
    """What the last line of the report says."""

    outcome: Outcome
    detail: str = ""


class FetchFailedError(Exception):
    """Ends a fetch from wherever it stands; caught where the report's last line is written."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        """Keep what the report will say."""
        super().__init__(detail)
        self.ending = Ending(outcome, detail)


def timed_out(doing: str) -> FetchFailedError:
    """Return the error for a deadline that passed while `doing` something."""
    return FetchFailedError(Outcome.FETCH_TIMEOUT, f"The fetch deadline passed while {doing}.")
