"""The states of a scan, the moves between them, and the closed list of outcomes.

The table below alone decides which moves are legal. A trigger in `schema.sql` repeats the pairs,
and docs/architecture.md shows them as a diagram. Tests check that all three are equal.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """The state of a scan."""

    QUEUED = "QUEUED"
    FETCHING = "FETCHING"
    ANALYZING = "ANALYZING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"


#: The states that may follow each state; no state follows a final one.
TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.QUEUED: frozenset({State.FETCHING, State.FAILED}),
        State.FETCHING: frozenset({State.ANALYZING, State.FAILED, State.TIMED_OUT, State.QUEUED}),
        State.ANALYZING: frozenset({State.COMPLETED, State.FAILED, State.TIMED_OUT, State.QUEUED}),
        State.COMPLETED: frozenset(),
        State.FAILED: frozenset(),
        State.TIMED_OUT: frozenset(),
    }
)

FINAL_STATES: frozenset[State] = frozenset(s for s, exits in TRANSITIONS.items() if not exits)


class Outcome(StrEnum):
    """The way in which an attempt ended."""

    OK = "ok"
    DNS_NXDOMAIN = "dns_nxdomain"
    DNS_FAILED = "dns_failed"
    ADDRESS_REFUSED = "address_refused"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_INVALID = "tls_invalid"
    HTTP_ERROR = "http_error"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BODY_TOO_LARGE = "body_too_large"
    FETCH_TIMEOUT = "fetch_timeout"
    WALL_TIMEOUT = "wall_timeout"
    OUT_OF_MEMORY = "out_of_memory"
    SANDBOX_CRASHED = "sandbox_crashed"
    REPORT_MALFORMED = "report_malformed"
    REPORT_TOO_LARGE = "report_too_large"
    CANCELLED = "cancelled"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    LEASE_LOST = "lease_lost"


#: Outcomes with a page, so that the scan moves on to analysis.
ANALYZED_OUTCOMES: frozenset[Outcome] = frozenset({Outcome.OK, Outcome.BODY_TOO_LARGE})

#: Outcomes with a failure of SafeURL itself, not of the page.
INFRASTRUCTURE_OUTCOMES: frozenset[Outcome] = frozenset(
    {Outcome.SANDBOX_UNAVAILABLE, Outcome.SANDBOX_CRASHED, Outcome.LEASE_LOST}
)

_TIMEOUTS = frozenset({Outcome.FETCH_TIMEOUT, Outcome.WALL_TIMEOUT})


def is_legal(old: State, new: State) -> bool:
    """Return whether a scan may move from `old` to `new`."""
    return new in TRANSITIONS[old]


def is_final(state: State) -> bool:
    """Return whether no state follows `state`."""
    return state in FINAL_STATES


def final_state(outcome: Outcome) -> State:
    """Return the final state of a scan whose last attempt had this outcome."""
    if outcome in ANALYZED_OUTCOMES:
        return State.COMPLETED
    return State.TIMED_OUT if outcome in _TIMEOUTS else State.FAILED
