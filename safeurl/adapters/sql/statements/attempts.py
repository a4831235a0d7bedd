"""The statements of `AttemptStore`.

A change of a scan is a batch. All its statements have the same guard, and the UPDATE of the scan is
the last write. The batch ends with a SELECT of the row by its `change_id`, which returns the row
only if this change took effect. A batch may therefore run twice if its response was lost: the
second time no guard holds, but the SELECT still returns the row.
"""

from safeurl.adapters.sql.statements.backlog import DUE_CONDITION

#: A write of a leader has two more guards. Its term must be the newest. The lease must be the one
#: that the leader read, because a renewal does not change the version.
_FENCE = (
    "(:term IS NULL OR lease_until IS :seen_lease AND :term = (SELECT max(term) FROM leader_terms))"
)

_GUARD = f"id = :id AND version = :version AND state = :state AND {_FENCE}"

CHANGED = "SELECT * FROM scan_jobs WHERE id = :id AND change_id = :change_id"

CLAIM = f"""
UPDATE scan_jobs
SET state = 'FETCHING', version = version + 1, attempt = attempt + 1, updated_at = :now,
    lease_owner = :owner, lease_until = :lease_until, outcome = NULL, detail = NULL,
    actor = :owner, change_id = :change_id
WHERE id = :id AND state = 'QUEUED' AND {DUE_CONDITION}
"""  # noqa: S608 - the condition is a constant of ours

#: This does not change the version, so it may run twice.
RENEW = f"""
UPDATE scan_jobs SET lease_until = :lease_until
WHERE {_GUARD} AND lease_owner = :lease_owner AND attempt = :attempt
RETURNING id
"""  # noqa: S608 - the guard is a constant of this file

BEGIN_ANALYSIS = f"""
UPDATE scan_jobs
SET state = 'ANALYZING', version = version + 1, updated_at = :now,
    outcome = :outcome, detail = :detail, actor = :actor, change_id = :change_id
WHERE {_GUARD}
"""  # noqa: S608 - the guard is a constant of this file

FINISH = f"""
UPDATE scan_jobs
SET state = :new_state, version = version + 1, updated_at = :now, finished_at = :now,
    lease_owner = NULL, lease_until = NULL, outcome = :outcome, detail = :detail,
    actor = :actor, change_id = :change_id
WHERE {_GUARD}
"""  # noqa: S608 - the guard is a constant of this file

REQUEUE = f"""
UPDATE scan_jobs
SET state = 'QUEUED', version = version + 1, updated_at = :now, run_after = :run_after,
    lease_owner = NULL, lease_until = NULL, outcome = :outcome, detail = :detail,
    actor = :actor, change_id = :change_id
WHERE {_GUARD}
"""  # noqa: S608 - the guard is a constant of this file

PUT_EVIDENCE = f"""
INSERT INTO scan_evidence (scan_id, attempt, document)
SELECT id, attempt, :document FROM scan_jobs WHERE {_GUARD}
ON CONFLICT (scan_id) DO UPDATE SET attempt = excluded.attempt, document = excluded.document
"""  # noqa: S608 - the guard is a constant of this file

#: Deletes the artefacts of an earlier attempt, whose evidence is replaced.
DROP_ARTEFACTS = f"""
DELETE FROM artefacts WHERE scan_id = (SELECT id FROM scan_jobs WHERE {_GUARD})
"""  # noqa: S608 - the guard is a constant of this file

PUT_ARTEFACTS = f"""
INSERT INTO artefacts (scan_id, kind, sha256, size_bytes, media_type)
SELECT
    scan.id, new.value->>'kind', new.value->>'sha256', new.value->>'size_bytes',
    new.value->>'media_type'
FROM (SELECT id FROM scan_jobs WHERE {_GUARD}) AS scan, json_each(:artefacts) AS new
WHERE true
ON CONFLICT (scan_id, kind, sha256) DO NOTHING
"""  # noqa: S608 - the guard is a constant of this file

PUT_RESULT = f"""
INSERT INTO scan_results (
    scan_id, attempt, outcome, score, verdict, categories, verdict_json, ruleset,
    final_url, http_status, title, created_at
)
SELECT
    id, :attempt, :outcome, :score, :verdict, :categories, :verdict_json, :ruleset,
    :final_url, :http_status, :title, :created_at
FROM scan_jobs WHERE {_GUARD}
"""  # noqa: S608 - the guard is a constant of this file

#: An equal line with the same microsecond is the same line, sent again after a lost response.
APPEND_AUDIT = f"""
INSERT INTO audit_logs (scan_id, event, version, attempt, actor, detail, at)
SELECT id, :event, version, attempt, :actor, :detail, :now FROM scan_jobs
WHERE {_GUARD} AND NOT EXISTS (
    SELECT 1 FROM audit_logs
    WHERE scan_id = :id AND event = :event AND actor = :actor AND detail = :detail AND at = :now
)
"""  # noqa: S608 - the guard is a constant of this file

ATTEMPTS = "SELECT * FROM attempts WHERE scan_id = :id ORDER BY attempt"

#: Walks the primary key down: ids of scans grow with the time of submission.
RECENT_ATTEMPTS = """
SELECT * FROM attempts WHERE scan_id >= :first AND ended_at IS NOT NULL
ORDER BY scan_id DESC, attempt DESC LIMIT :limit
"""

#: The keys of these rows; SQLite decodes no other column then.
RECENT_KEYS = f"SELECT scan_id AS id, attempt FROM ({RECENT_ATTEMPTS})"  # noqa: S608 - a constant of this file

ATTEMPT = "SELECT * FROM attempts WHERE scan_id = :id AND attempt = :attempt"

#: Triggers open an attempt with the claim and close it with the lease.
PUT_SANDBOX = f"""
UPDATE attempts SET
    container_id = :container_id, start_kind = :start_kind, create_ms = :create_ms,
    start_ms = :start_ms, run_ms = :run_ms, remove_ms = :remove_ms, bytes_in = :bytes_in,
    bytes_out = :bytes_out, peak_memory_bytes = :peak_memory_bytes, cpu_ms = :cpu_ms,
    exit_code = :exit_code, oom_killed = :oom_killed, stopped = :stopped,
    push_ms = :push_ms, wake_ms = :wake_ms, dispatch_ms = :dispatch_ms, claim_ms = :claim_ms,
    prepare_ms = :prepare_ms, bind_ms = :bind_ms, fetch_ms = :fetch_ms, close_ms = :close_ms,
    store_ms = :store_ms, analyse_ms = :analyse_ms
WHERE attempt = :attempt AND ended_at IS NULL
    AND scan_id = (SELECT id FROM scan_jobs WHERE {_GUARD})
"""  # noqa: S608 - the guard is a constant of this file

#: The columns that the trigger which ends the attempt cannot fill.
PUT_END = f"""
UPDATE attempts SET counts_as_failure = :counts_as_failure, term = :term
WHERE attempt = :attempt AND ended_at IS NULL
    AND scan_id = (SELECT id FROM scan_jobs WHERE {_GUARD})
"""  # noqa: S608 - the guard is a constant of this file
