"""The limits of an attempt."""

from dataclasses import dataclass, field
from datetime import timedelta

from safeurl.address import PolicyOverrides
from safeurl.model.report import FetchRequest
from safeurl.model.scan import Scan
from safeurl.retry import BACKOFF


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """The limits of an attempt; the deadlines are nested: fetch < container < attempt."""

    fetch_timeout: timedelta
    container_timeout: timedelta
    attempt_timeout: timedelta
    lease: timedelta
    max_retries: int
    #: The pauses before the retries.
    backoff: tuple[timedelta, ...] = BACKOFF
    max_redirects: int
    max_body_bytes: int
    user_agent: str = ""
    policy: PolicyOverrides = field(default_factory=PolicyOverrides)

    def fetch_request(self, scan: Scan, *, gateway: bool) -> FetchRequest:
        """Return the request to the fetcher for this attempt of the scan."""
        return FetchRequest(
            scan=scan.id,
            attempt=scan.attempt,
            url=scan.url,
            profile=scan.profile,
            timeout_s=self.fetch_timeout.total_seconds(),
            max_redirects=self.max_redirects,
            max_body_bytes=self.max_body_bytes,
            policy=self.policy,
            user_agent=self.user_agent,
            gateway=gateway,
        )
