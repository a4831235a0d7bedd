-- The database of SafeURL: the only truth about scans. Runs on SQLite >= 3.40 and on libSQL.
--
-- A new database is made from this file; the numbered files in safeurl/adapters/sql/migrations
-- bring an older one to the same place, and a test holds the two equal. Times are ISO 8601 in UTC
-- with microseconds and a final Z, all of one width, so that they sort as text.

-- Which migrations this database has. The first statement of this file, because migrating needs it.
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    CONSTRAINT schema_migrations_applied_at_utc
        CHECK (applied_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;

-- One submitted URL and where it stands.
CREATE TABLE scan_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    submitted_url TEXT NOT NULL,
    profile TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    run_after TEXT NOT NULL,
    lease_owner TEXT,
    lease_until TEXT,
    outcome TEXT,
    detail TEXT,
    finished_at TEXT,
    -- Who made the last change, for the audit trigger.
    actor TEXT NOT NULL,
    -- Names the last change, so that a writer whose answer was lost can tell that it was its own.
    change_id TEXT NOT NULL,
    CONSTRAINT scan_jobs_id_set CHECK (length(id) > 0),
    CONSTRAINT scan_jobs_profile_known CHECK (profile IN ('http', 'browser')),
    CONSTRAINT scan_jobs_state_known CHECK (
        state IN ('QUEUED', 'FETCHING', 'ANALYZING', 'COMPLETED', 'FAILED', 'TIMED_OUT')
    ),
    CONSTRAINT scan_jobs_version_counts CHECK (version >= 0),
    CONSTRAINT scan_jobs_attempt_counts CHECK (attempt >= 0 AND attempt <= version),
    CONSTRAINT scan_jobs_created_at_utc CHECK (created_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_updated_at_utc CHECK (updated_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_run_after_utc CHECK (run_after GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_lease_until_utc CHECK (lease_until GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_finished_at_utc CHECK (finished_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT scan_jobs_leased_while_held CHECK (
        (lease_owner IS NOT NULL) = (state IN ('FETCHING', 'ANALYZING'))
        AND (lease_until IS NOT NULL) = (state IN ('FETCHING', 'ANALYZING'))
    ),
    CONSTRAINT scan_jobs_finished_when_final CHECK (
        (finished_at IS NOT NULL) = (state IN ('COMPLETED', 'FAILED', 'TIMED_OUT'))
    ),
    CONSTRAINT scan_jobs_outcome_when_final CHECK (
        outcome IS NOT NULL OR state NOT IN ('COMPLETED', 'FAILED', 'TIMED_OUT')
    ),
    CONSTRAINT scan_jobs_outcome_known CHECK (
        outcome IN (
            'ok', 'dns_nxdomain', 'dns_failed', 'address_refused', 'connect_refused',
            'connect_timeout', 'tls_invalid', 'http_error', 'too_many_redirects',
            'body_too_large', 'fetch_timeout', 'wall_timeout', 'out_of_memory',
            'sandbox_crashed', 'report_malformed', 'report_too_large', 'cancelled',
            'sandbox_unavailable', 'lease_lost'
        )
    )
) STRICT;

-- What waits, in the order in which it is taken up; the last columns only spare a look at the table.
CREATE INDEX scan_jobs_due ON scan_jobs (attempt = 0, run_after, id, created_at, updated_at, state)
WHERE state = 'QUEUED';

-- What runs, the lease that ends first at the front.
CREATE INDEX scan_jobs_leased ON scan_jobs (lease_until, id) WHERE lease_until IS NOT NULL;

-- What waits, for telling since when.
CREATE INDEX scan_jobs_pending ON scan_jobs (created_at) WHERE state = 'QUEUED';

-- How many scans are in each state. Triggers keep it, so that telling it counts no scans.
CREATE TABLE scan_counts (
    state TEXT NOT NULL PRIMARY KEY,
    scans INTEGER NOT NULL
) STRICT;

-- How many scans ended in each minute of the last hours.
CREATE TABLE scan_endings (
    minute TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL,
    scans INTEGER NOT NULL,
    PRIMARY KEY (minute, state, outcome)
) STRICT;

-- What a finished scan concluded; the key says that there is one at most.
CREATE TABLE scan_results (
    scan_id TEXT NOT NULL PRIMARY KEY
        CONSTRAINT scan_results_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    score INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    categories TEXT NOT NULL,
    verdict_json TEXT NOT NULL,
    ruleset TEXT NOT NULL,
    final_url TEXT,
    http_status INTEGER,
    title TEXT,
    created_at TEXT NOT NULL,
    CONSTRAINT scan_results_attempt_counts CHECK (attempt >= 0),
    CONSTRAINT scan_results_score_in_range CHECK (score BETWEEN 0 AND 100),
    CONSTRAINT scan_results_verdict_known CHECK (
        verdict IN ('malicious', 'suspicious', 'benign', 'inconclusive')
    ),
    CONSTRAINT scan_results_categories_list CHECK (
        json_valid(categories) AND json_type(categories) = 'array'
    ),
    CONSTRAINT scan_results_verdict_json_valid CHECK (json_valid(verdict_json)),
    CONSTRAINT scan_results_created_at_utc CHECK (created_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;

-- The evidence of the last attempt that had any.
CREATE TABLE scan_evidence (
    scan_id TEXT NOT NULL PRIMARY KEY
        CONSTRAINT scan_evidence_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    document TEXT NOT NULL,
    CONSTRAINT scan_evidence_attempt_counts CHECK (attempt >= 0),
    CONSTRAINT scan_evidence_document_json CHECK (json_valid(document))
) STRICT;

-- The blobs of a scan, by their SHA-256.
CREATE TABLE artefacts (
    scan_id TEXT NOT NULL
        CONSTRAINT artefacts_of_scan REFERENCES scan_jobs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (scan_id, kind, sha256),
    CONSTRAINT artefacts_sha256_hex CHECK (
        length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT artefacts_size_counts CHECK (size_bytes >= 0)
) STRICT;

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
    -- The phases in their order, each from the end of the one before, the first from the
    -- submission or from the end of the pause before a retry; NULL where a length is not known.
    push_ms REAL,
    wake_ms REAL,
    dispatch_ms REAL,
    claim_ms REAL,
    prepare_ms REAL,
    bind_ms REAL,
    fetch_ms REAL,
    close_ms REAL,
    store_ms REAL,
    analyse_ms REAL CONSTRAINT attempts_phases_count CHECK (
        min(
            coalesce(push_ms, 0), coalesce(wake_ms, 0), coalesce(dispatch_ms, 0),
            coalesce(claim_ms, 0), coalesce(prepare_ms, 0), coalesce(bind_ms, 0),
            coalesce(fetch_ms, 0), coalesce(close_ms, 0), coalesce(store_ms, 0),
            coalesce(analyse_ms, 0)
        ) >= 0
    ),
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

-- Append-only. No foreign key: it outlives its scan.
CREATE TABLE audit_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    scan_id TEXT NOT NULL,
    event TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    from_state TEXT,
    to_state TEXT,
    actor TEXT NOT NULL,
    outcome TEXT,
    detail TEXT,
    at TEXT NOT NULL,
    CONSTRAINT audit_logs_event_fits CHECK (
        CASE event
            WHEN 'submitted' THEN from_state IS NULL AND to_state IS NOT NULL
            WHEN 'transition' THEN from_state IS NOT NULL AND to_state IS NOT NULL
            ELSE from_state IS NULL AND to_state IS NULL
        END
    ),
    CONSTRAINT audit_logs_at_utc CHECK (at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;

CREATE INDEX audit_logs_scan ON audit_logs (scan_id);

-- Who led when. The newest term is the leader's, until `until` has come; its number fences what is
-- written in its name.
CREATE TABLE leader_terms (
    term INTEGER NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    elected_at TEXT NOT NULL,
    until TEXT NOT NULL,
    CONSTRAINT leader_terms_term_counts CHECK (term >= 1),
    CONSTRAINT leader_terms_elected_at_utc CHECK (elected_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT leader_terms_until_utc CHECK (until GLOB '????-??-??T??:??:??.??????Z')
) STRICT;

-- Each seal stands over a range of audit_logs and over the seal before it.
CREATE TABLE audit_seals (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    -- Sixteen hex digits per id, so that a broken seal can name the row; dashes where none stood.
    digests TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    previous_sha256 TEXT NOT NULL,
    sealed_at TEXT NOT NULL,
    term INTEGER NOT NULL,
    CONSTRAINT audit_seals_range CHECK (last_id >= first_id),
    CONSTRAINT audit_seals_digests_fit CHECK (length(digests) = 16 * (last_id - first_id + 1)),
    CONSTRAINT audit_seals_sha256_hex CHECK (
        length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT audit_seals_previous_hex CHECK (
        length(previous_sha256) = 64 AND previous_sha256 NOT GLOB '*[^0-9a-f]*'
    ),
    CONSTRAINT audit_seals_sealed_at_utc CHECK (sealed_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT;

-- The last heartbeat of each worker.
CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    beat_at TEXT NOT NULL,
    docker_version TEXT NOT NULL,
    -- An object for each of docker, image, gateway and disk: `ok`, and the `reason` if it is not.
    parts TEXT NOT NULL,
    disk_free_bytes INTEGER NOT NULL,
    CONSTRAINT workers_started_at_utc CHECK (started_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_beat_at_utc CHECK (beat_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_parts_json CHECK (json_type(parts) = 'object')
) STRICT;

CREATE INDEX workers_heard ON workers (beat_at DESC, id);

-- The checks of a new row also refuse INSERT OR REPLACE, which would otherwise take the old row
-- away without waking a single DELETE trigger.
CREATE TRIGGER scan_jobs_begin BEFORE INSERT ON scan_jobs
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: the id is taken')
    WHERE EXISTS (SELECT 1 FROM scan_jobs WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'scan_jobs: a new scan is QUEUED at version 0 and attempt 0')
    WHERE (NEW.state, NEW.version, NEW.attempt) <> ('QUEUED', 0, 0);
END;

CREATE TRIGGER scan_jobs_submitted AFTER INSERT ON scan_jobs
BEGIN
    INSERT INTO audit_logs
        (scan_id, event, version, attempt, to_state, actor, outcome, detail, at)
    VALUES
        (NEW.id, 'submitted', NEW.version, NEW.attempt, NEW.state, NEW.actor, NEW.outcome,
         NEW.detail, NEW.created_at);
END;

CREATE TRIGGER scan_jobs_stay_what_they_are BEFORE UPDATE ON scan_jobs
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: a final scan does not change')
    WHERE OLD.state IN ('COMPLETED', 'FAILED', 'TIMED_OUT');
    SELECT RAISE(ABORT, 'scan_jobs: what was submitted does not change')
    WHERE (NEW.id, NEW.url, NEW.submitted_url, NEW.profile, NEW.source, NEW.created_at)
        <> (OLD.id, OLD.url, OLD.submitted_url, OLD.profile, OLD.source, OLD.created_at);
END;

-- The pairs are those of TRANSITIONS in safeurl/state.py; a test holds the two equal.
CREATE TRIGGER scan_jobs_move BEFORE UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state OR NEW.version <> OLD.version OR NEW.attempt <> OLD.attempt
BEGIN
    SELECT RAISE(ABORT, 'scan_jobs: illegal move')
    WHERE (OLD.state, NEW.state) NOT IN (
        VALUES
            ('QUEUED', 'FETCHING'),
            ('QUEUED', 'FAILED'),
            ('FETCHING', 'ANALYZING'),
            ('FETCHING', 'FAILED'),
            ('FETCHING', 'TIMED_OUT'),
            ('FETCHING', 'QUEUED'),
            ('ANALYZING', 'COMPLETED'),
            ('ANALYZING', 'FAILED'),
            ('ANALYZING', 'TIMED_OUT'),
            ('ANALYZING', 'QUEUED')
    );
    SELECT RAISE(ABORT, 'scan_jobs: version grows by one with each move')
    WHERE NEW.version <> OLD.version + 1;
    SELECT RAISE(ABORT, 'scan_jobs: attempt grows by one with each claim and never else')
    WHERE NEW.attempt <> OLD.attempt + (NEW.state = 'FETCHING');
    SELECT RAISE(ABORT, 'scan_jobs: a final scan has a result')
    WHERE NEW.state IN ('COMPLETED', 'FAILED', 'TIMED_OUT')
        AND NOT EXISTS (SELECT 1 FROM scan_results WHERE scan_id = NEW.id);
END;

CREATE TRIGGER scan_jobs_moved AFTER UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state
BEGIN
    INSERT INTO audit_logs
        (scan_id, event, version, attempt, from_state, to_state, actor, outcome, detail, at)
    VALUES
        (NEW.id, 'transition', NEW.version, NEW.attempt, OLD.state, NEW.state, NEW.actor,
         NEW.outcome, NEW.detail, NEW.updated_at);
    -- What the move itself does not say, so that a later change of the attempt's row shows.
    INSERT INTO audit_logs (scan_id, event, version, attempt, actor, at)
    SELECT NEW.id, 'attempt_not_counted', NEW.version, NEW.attempt, NEW.actor, NEW.updated_at
    FROM attempts
    WHERE NEW.state = 'QUEUED' AND scan_id = NEW.id AND attempt = NEW.attempt
        AND counts_as_failure = 0;
END;

CREATE TRIGGER scan_jobs_counted AFTER INSERT ON scan_jobs
BEGIN
    INSERT INTO scan_counts (state, scans) VALUES (NEW.state, 1)
    ON CONFLICT (state) DO UPDATE SET scans = scans + 1;
END;

CREATE TRIGGER scan_jobs_recounted AFTER UPDATE ON scan_jobs
WHEN NEW.state <> OLD.state
BEGIN
    UPDATE scan_counts SET scans = scans - 1 WHERE state = OLD.state;
    INSERT INTO scan_counts (state, scans) VALUES (NEW.state, 1)
    ON CONFLICT (state) DO UPDATE SET scans = scans + 1;
END;

CREATE TRIGGER scan_jobs_ended AFTER UPDATE ON scan_jobs
WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL
BEGIN
    INSERT INTO scan_endings (minute, state, outcome, scans)
    VALUES (substr(NEW.finished_at, 1, 16), NEW.state, NEW.outcome, 1)
    ON CONFLICT (minute, state, outcome) DO UPDATE SET scans = scans + 1;
    DELETE FROM scan_endings
    WHERE minute < strftime('%Y-%m-%dT%H:%M', NEW.finished_at, '-2 hours');
END;

CREATE TRIGGER scan_jobs_uncounted AFTER DELETE ON scan_jobs
BEGIN
    UPDATE scan_counts SET scans = scans - 1 WHERE state = OLD.state;
END;

-- A row that stands in the place of an attempt before its claim is nobody's. It would make each
-- claim of the scan fail. It is removed, and the audit trail says so.
CREATE TRIGGER scan_jobs_attempt_place BEFORE UPDATE ON scan_jobs
WHEN NEW.attempt <> OLD.attempt
BEGIN
    INSERT INTO audit_logs (scan_id, event, version, attempt, actor, detail, at)
    SELECT NEW.id, 'attempt_replaced', OLD.version, NEW.attempt, NEW.actor,
        'A row of ' || owner || ' that began ' || started_at || ' was removed.', NEW.updated_at
    FROM attempts WHERE scan_id = NEW.id AND attempt = NEW.attempt;
    DELETE FROM attempts WHERE scan_id = NEW.id AND attempt = NEW.attempt;
END;

CREATE TRIGGER scan_jobs_attempt_begun AFTER UPDATE ON scan_jobs
WHEN NEW.attempt <> OLD.attempt
BEGIN
    INSERT INTO attempts (scan_id, attempt, owner, started_at)
    VALUES (NEW.id, NEW.attempt, NEW.lease_owner, NEW.updated_at);
END;

-- An outcome that says nothing about the page counts as a failure, unless the writer who requeues
-- the scan has decided otherwise before, in the same transaction.
CREATE TRIGGER scan_jobs_attempt_ended AFTER UPDATE ON scan_jobs
WHEN OLD.lease_owner IS NOT NULL AND NEW.lease_owner IS NULL
BEGIN
    UPDATE attempts
    SET ended_at = NEW.updated_at, outcome = NEW.outcome,
        counts_as_failure = CASE NEW.state
            WHEN 'QUEUED' THEN coalesce(counts_as_failure, 1)
            ELSE NEW.outcome IN ('sandbox_unavailable', 'lease_lost')
        END
    WHERE scan_id = NEW.id AND attempt = NEW.attempt AND ended_at IS NULL;
END;

CREATE TRIGGER attempts_begin BEFORE INSERT ON attempts
BEGIN
    SELECT RAISE(ABORT, 'attempts: the number is taken')
    WHERE EXISTS (SELECT 1 FROM attempts WHERE scan_id = NEW.scan_id AND attempt = NEW.attempt);
    SELECT RAISE(ABORT, 'attempts: an attempt begins with its claim')
    WHERE NEW.ended_at IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM scan_jobs
        WHERE id = NEW.scan_id AND attempt = NEW.attempt AND lease_owner = NEW.owner
            AND updated_at = NEW.started_at
    );
END;

CREATE TRIGGER attempts_stay_what_they_are BEFORE UPDATE ON attempts
BEGIN
    SELECT RAISE(ABORT, 'attempts: an attempt that has ended does not change')
    WHERE OLD.ended_at IS NOT NULL;
    SELECT RAISE(ABORT, 'attempts: the beginning of an attempt does not change')
    WHERE (NEW.scan_id, NEW.attempt, NEW.owner, NEW.started_at)
        <> (OLD.scan_id, OLD.attempt, OLD.owner, OLD.started_at);
    SELECT RAISE(ABORT, 'attempts: an attempt ends with its lease')
    WHERE NEW.ended_at IS NOT NULL AND EXISTS (
        SELECT 1 FROM scan_jobs
        WHERE id = NEW.scan_id AND attempt = NEW.attempt AND lease_owner IS NOT NULL
    );
END;

-- Attempts go with their scan only. What stands beyond the scan's last attempt is not one.
CREATE TRIGGER attempts_no_delete BEFORE DELETE ON attempts
BEGIN
    SELECT RAISE(ABORT, 'attempts: they are kept as long as their scan')
    WHERE EXISTS (
        SELECT 1 FROM scan_jobs WHERE id = OLD.scan_id AND attempt >= OLD.attempt
    );
END;

CREATE TRIGGER audit_logs_append BEFORE INSERT ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only')
    WHERE EXISTS (SELECT 1 FROM audit_logs WHERE id = NEW.id);
    SELECT RAISE(ABORT, 'audit_logs: each version of a scan is told once')
    WHERE NEW.to_state IS NOT NULL AND EXISTS (
        SELECT 1 FROM audit_logs
        WHERE scan_id = NEW.scan_id AND version = NEW.version AND to_state IS NOT NULL
    );
END;

CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only');
END;

CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs: append-only');
END;

CREATE TRIGGER audit_seals_append BEFORE INSERT ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: each seal follows on the one before')
    WHERE (NEW.number, NEW.first_id, NEW.previous_sha256) <> (
        -- The counter, not the last seal: a number whose seal was cut off is not given again.
        SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_seals'), 0) + 1,
            coalesce((SELECT last_id FROM audit_seals ORDER BY number DESC LIMIT 1), 0) + 1,
            coalesce(
                (SELECT sha256 FROM audit_seals ORDER BY number DESC LIMIT 1),
                '0000000000000000000000000000000000000000000000000000000000000000'
            )
    );
END;

CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: append-only');
END;

CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'audit_seals: append-only');
END;

CREATE TRIGGER leader_terms_follow BEFORE INSERT ON leader_terms
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: each term follows on the one before')
    WHERE NEW.term <> (SELECT coalesce(max(term), 0) + 1 FROM leader_terms);
END;

CREATE TRIGGER leader_terms_keep_their_holder BEFORE UPDATE ON leader_terms
WHEN (NEW.term, NEW.holder, NEW.elected_at) <> (OLD.term, OLD.holder, OLD.elected_at)
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: a term has one holder');
END;

CREATE TRIGGER leader_terms_no_delete BEFORE DELETE ON leader_terms
BEGIN
    SELECT RAISE(ABORT, 'leader_terms: append-only');
END;
