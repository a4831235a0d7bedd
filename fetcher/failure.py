"""The result of a fetch: an outcome and one sentence of detail."""

from msgspec import Struct

from safeurl.state import Outcome


class FetchResult(Struct, frozen=True):
    """The outcome and the detail that the last line of the report contains."""

    outcome: Outcome
    detail: str = ""


class FetchFailedError(Exception):
    """The fetch has failed. Raised anywhere in the fetcher and caught by the session."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        """Keep the result that the report will contain."""
        super().__init__(detail)
        self.result = FetchResult(outcome, detail)


def deadline_passed(activity: str) -> FetchFailedError:
    """Return the error for a deadline that passed during an activity."""
    return FetchFailedError(Outcome.FETCH_TIMEOUT, f"The fetch deadline passed while {activity}.")
