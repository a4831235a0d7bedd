-- Each attempt has a row: facts that were sentences in the audit trail are columns.

-- One attempt of a scan, from its claim to its end. Triggers open and close it.
CREATE TABLE attempts (
    scan_id TEXT NOT NULL
        CONSTRAINT attempts_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    owner TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    -- Whether it uses up one of the scan's retries; NULL until it ends.
    counts_as_failure INTEGER,
    -- The term of the leader that ended it; NULL where nobody acted as the leader.
    term INTEGER,
    -- What is known of its sandbox; NULL where there was none or it is not known.
    container_id TEXT,
    start_kind TEXT,
    create_ms REAL,
    start_ms REAL,
    run_ms REAL,
    remove_ms REAL,
    bytes_in INTEGER,
    bytes_out INTEGER,
    peak_memory_bytes INTEGER,
    cpu_ms REAL,
    exit_code INTEGER,
    oom_killed INTEGER,
    stopped TEXT,
    PRIMARY KEY (scan_id, attempt),
    CONSTRAINT attempts_attempt_counts CHECK (attempt >= 1),
    CONSTRAINT attempts_started_at_utc CHECK (started_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT attempts_ended_at_utc CHECK (ended_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT attempts_outcome_when_ended CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CONSTRAINT attempts_outcome_known CHECK (
        outcome IN (
            'ok', 'dns_nxdomain', 'dns_failed', 'address_refused', 'connect_refused',
            'connect_timeout', 'tls_invalid', 'http_error', 'too_many_redirects',
            'body_too_large', 'fetch_timeout', 'wall_timeout', 'out_of_memory',
            'sandbox_crashed', 'report_malformed', 'report_too_large', 'cancelled',
            'sandbox_unavailable', 'lease_lost'
        )
    ),
    CONSTRAINT attempts_counts_as_failure_bool CHECK (counts_as_failure IN (0, 1)),
    CONSTRAINT attempts_counted_when_ended CHECK (
        ended_at IS NULL OR counts_as_failure IS NOT NULL
    ),
    CONSTRAINT attempts_term_counts CHECK (term >= 1),
    CONSTRAINT attempts_start_kind_known CHECK (start_kind IN ('cold', 'warm')),
    CONSTRAINT attempts_times_count CHECK (
        min(
            coalesce(create_ms, 0), coalesce(start_ms, 0), coalesce(run_ms, 0),
            coalesce(remove_ms, 0), coalesce(cpu_ms, 0)
        ) >= 0
    ),
    CONSTRAINT attempts_bytes_count CHECK (
        min(coalesce(bytes_in, 0), coalesce(bytes_out, 0), coalesce(peak_memory_bytes, 0)) >= 0
    ),
    CONSTRAINT attempts_oom_killed_bool CHECK (oom_killed IN (0, 1)),
    CONSTRAINT attempts_stopped_known CHECK (stopped IN ('deadline', 'sink'))
) STRICT;

-- The attempts of scans that were there before, from the audit trail. A row that breaks a rule is
-- left out. The sentence below is the one by which older versions told that a worker, when it was
-- stopped, gave a scan back; it is compared here for the last time.
INSERT OR IGNORE INTO attempts (
    scan_id, attempt, owner, started_at, ended_at, outcome, counts_as_failure,
    container_id, start_kind, create_ms, start_ms, run_ms, remove_ms,
    exit_code, oom_killed, stopped
)
SELECT
    claim.scan_id, claim.attempt, claim.actor, claim.at, ending.at, ending.outcome,
    CASE
        WHEN ending.at IS NULL THEN NULL
        WHEN ending.to_state = 'QUEUED' THEN ending.detail IS NOT 'The worker was stopped.'
        ELSE ending.outcome IN ('sandbox_unavailable', 'lease_lost')
    END,
    nullif(said.facts->>'container', ''),
    CASE WHEN said.facts->>'start' IN ('cold', 'warm') THEN said.facts->>'start' END,
    CAST(said.facts->'ms'->>'create' AS REAL),
    CAST(said.facts->'ms'->>'start' AS REAL),
    CAST(said.facts->'ms'->>'run' AS REAL),
    CAST(said.facts->'ms'->>'remove' AS REAL),
    CAST(said.facts->>'exit_code' AS INTEGER),
    CAST(said.facts->>'oom_killed' AS INTEGER),
    CASE WHEN said.facts->>'stopped' IN ('deadline', 'sink') THEN said.facts->>'stopped' END
FROM audit_logs AS claim
JOIN scan_jobs AS scan ON scan.id = claim.scan_id
LEFT JOIN audit_logs AS ending
    ON ending.scan_id = claim.scan_id AND ending.attempt = claim.attempt
    AND ending.event = 'transition' AND ending.from_state IN ('FETCHING', 'ANALYZING')
    AND ending.to_state <> 'ANALYZING'
LEFT JOIN (
    SELECT scan_id, attempt, CASE WHEN json_valid(detail) THEN detail END AS facts
    FROM audit_logs WHERE event = 'sandbox'
) AS said ON said.scan_id = claim.scan_id AND said.attempt = claim.attempt
WHERE claim.event = 'transition' AND claim.to_state = 'FETCHING'
ORDER BY claim.id;

CREATE TRIGGER scan_jobs_attempt_begun AFTER UPDATE ON scan_jobs
WHEN NEW.attempt <> OLD.attempt
BEGIN
    INSERT INTO attempts (scan_id, attempt, owner, started_at)
    VALUES (NEW.id, NEW.attempt, NEW.lease_owner, NEW.updated_at);
END;

-- An outcome that says nothing about the page counts as a failure, unless the writer has decided
-- otherwise before, in the same transaction.
CREATE TRIGGER scan_jobs_attempt_ended AFTER UPDATE ON scan_jobs
WHEN OLD.lease_owner IS NOT NULL AND NEW.lease_owner IS NULL
BEGIN
    UPDATE attempts
    SET ended_at = NEW.updated_at, outcome = NEW.outcome,
        counts_as_failure = coalesce(
            counts_as_failure,
            NEW.state = 'QUEUED' OR NEW.outcome IN ('sandbox_unavailable', 'lease_lost')
        )
    WHERE scan_id = NEW.id AND attempt = NEW.attempt;
END;

CREATE TRIGGER attempts_stay_what_they_are BEFORE UPDATE ON attempts
BEGIN
    SELECT RAISE(ABORT, 'attempts: an attempt that has ended does not change')
    WHERE OLD.ended_at IS NOT NULL;
    SELECT RAISE(ABORT, 'attempts: the beginning of an attempt does not change')
    WHERE (NEW.scan_id, NEW.attempt, NEW.owner, NEW.started_at)
        <> (OLD.scan_id, OLD.attempt, OLD.owner, OLD.started_at);
END;
