-- Counts of what waits and of what ended lately are kept, so that health counts no scans.
DROP INDEX scan_jobs_finished;

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

INSERT INTO scan_counts (state, scans)
SELECT state, count(*) FROM scan_jobs GROUP BY state;

INSERT INTO scan_endings (minute, state, outcome, scans)
SELECT substr(finished_at, 1, 16), state, outcome, count(*) FROM scan_jobs
WHERE finished_at >= strftime('%Y-%m-%dT%H:%M', 'now', '-2 hours')
GROUP BY 1, 2, 3;

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
