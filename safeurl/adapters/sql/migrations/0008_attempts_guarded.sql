-- The rows of `attempts` are guarded like the audit trail, and can be compared with it.

DROP TRIGGER scan_jobs_moved;
DROP TRIGGER scan_jobs_attempt_begun;
DROP TRIGGER scan_jobs_attempt_ended;
DROP TRIGGER attempts_stay_what_they_are;

-- What the trail does not say yet about the rows that are here: attempts of older versions without
-- a row, and attempts that were given back and do not count.
INSERT INTO audit_logs (scan_id, event, version, attempt, actor, at)
SELECT claim.scan_id, 'attempt_unrecorded', claim.version, claim.attempt, 'migration',
    strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
FROM audit_logs AS claim
JOIN scan_jobs AS scan ON scan.id = claim.scan_id
WHERE claim.event = 'transition' AND claim.to_state = 'FETCHING' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE scan_id = claim.scan_id AND attempt = claim.attempt
)
ORDER BY claim.id;

INSERT INTO audit_logs (scan_id, event, version, attempt, actor, at)
SELECT ending.scan_id, 'attempt_not_counted', ending.version, ending.attempt, 'migration',
    strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
FROM audit_logs AS ending
JOIN attempts ON attempts.scan_id = ending.scan_id AND attempts.attempt = ending.attempt
WHERE ending.event = 'transition' AND ending.to_state = 'QUEUED'
    AND attempts.counts_as_failure = 0
ORDER BY ending.id;

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
