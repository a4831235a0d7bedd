-- Scans that were tried before are found first, however many wait.
DROP INDEX scan_jobs_due;

CREATE INDEX scan_jobs_due ON scan_jobs (attempt = 0, run_after, id, created_at, updated_at, state)
WHERE state = 'QUEUED';
