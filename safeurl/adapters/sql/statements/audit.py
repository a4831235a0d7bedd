"""The statements of `AuditTrail` and `AuditLedger`; each may run twice."""

AUDIT = "SELECT * FROM audit_logs WHERE scan_id = :id ORDER BY id"

ROWS = "SELECT * FROM audit_logs WHERE id > :after ORDER BY id LIMIT :limit"

#: One statement, so that each scan and its trail are read at the same moment. The caller sorts.
TRAILS = """
SELECT job.id AS of_scan, job.state, job.version AS of_version, log.*
FROM (
    SELECT id, state, version FROM scan_jobs WHERE id > :after ORDER BY id LIMIT :limit
) AS job
LEFT JOIN audit_logs AS log ON log.scan_id = job.id
"""

#: Of the scans of `TRAILS`.
TRAIL_ATTEMPTS = """
SELECT scan_id, attempt, owner, started_at, ended_at, outcome, counts_as_failure FROM attempts
WHERE scan_id IN (SELECT id FROM scan_jobs WHERE id > :after ORDER BY id LIMIT :limit)
ORDER BY scan_id, attempt
"""

SEALS = "SELECT * FROM audit_seals WHERE number > :after ORDER BY number LIMIT :limit"

LAST_SEAL = "SELECT * FROM audit_seals WHERE number = (SELECT max(number) FROM audit_seals)"

#: Nothing is inserted for a former leader, after a seal that is not the last, or a second time.
SEAL = """
INSERT INTO audit_seals (
    number, first_id, last_id, digests, sha256, previous_sha256, sealed_at, term
)
SELECT
    :number, :first_id, :last_id, :digests, :hash, :previous_hash, :sealed_at, :term
WHERE :term = (SELECT max(term) FROM leader_terms)
    AND :number = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_seals'), 0) + 1
    AND (:first_id - 1, :previous_hash) = (
        SELECT coalesce(max(last.last_id), 0), coalesce(max(last.sha256), :no_seal)
        FROM audit_seals AS last
        WHERE last.number = (SELECT max(number) FROM audit_seals)
    )
"""

SEALED = "SELECT number FROM audit_seals WHERE number = :number AND sha256 = :hash"

LAST_NUMBERS = """
SELECT
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_logs'), 0) AS last_row,
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit_seals'), 0) AS last_seal
"""
