-- Leaders by election, seals over the audit trail, and what health has to know of disks and outcomes.
DROP INDEX scan_jobs_due;

CREATE INDEX scan_jobs_due ON scan_jobs (run_after, id, created_at, updated_at, state)
WHERE state = 'QUEUED';

DROP INDEX scan_jobs_finished;

CREATE INDEX scan_jobs_finished ON scan_jobs (finished_at, state, outcome)
WHERE finished_at IS NOT NULL;

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


-- Nothing is lost with it: every worker beats again within seconds.
DROP TABLE workers;

CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    beat_at TEXT NOT NULL,
    docker_ok INTEGER NOT NULL,
    docker_detail TEXT NOT NULL,
    disk_free_bytes INTEGER NOT NULL,
    CONSTRAINT workers_started_at_utc CHECK (started_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_beat_at_utc CHECK (beat_at GLOB '????-??-??T??:??:??.??????Z'),
    CONSTRAINT workers_docker_ok_bool CHECK (docker_ok IN (0, 1))
) STRICT;

CREATE INDEX workers_heard ON workers (beat_at DESC, id);

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
