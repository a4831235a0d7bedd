"""The statements of `AttemptStore`.

A change of a scan is a batch whose statements all carry the same guard, the UPDATE of the scan
last of the writes. The batch ends by asking for the row by its `change_id`: the row comes back
exactly when this very change took effect. So a batch may be repeated after its answer was lost:
the second time no guard holds, and the row still comes back.
"""

from safeurl.adapters.sql.statements.backlog import DUE_CONDITION

#: A write in the name of a leader also needs that leader's term to be the newest, and the lease to
#: be as the leader saw it: renewing one changes no version.
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

#: Changes no version, so it bears repeating as it is.
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

#: Another attempt's, which went with that attempt's evidence.
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

#: The same line at the same microsecond is the same note, told again after a lost answer.
APPEND_AUDIT = f"""
INSERT INTO audit_logs (scan_id, event, version, attempt, actor, detail, at)
SELECT id, :event, version, attempt, :actor, :detail, :now FROM scan_jobs
WHERE {_GUARD} AND NOT EXISTS (
    SELECT 1 FROM audit_logs
    WHERE scan_id = :id AND event = :event AND actor = :actor AND detail = :detail AND at = :now
)
"""  # noqa: S608 - the guard is a constant of this file

ATTEMPTS = "SELECT * FROM attempts WHERE scan_id = :id ORDER BY attempt"

#: Triggers open an attempt with the claim and close it with the lease.
PUT_SANDBOX = f"""
UPDATE attempts SET
    container_id = :container_id, start_kind = :start_kind, create_ms = :create_ms,
    start_ms = :start_ms, run_ms = :run_ms, remove_ms = :remove_ms, bytes_in = :bytes_in,
    bytes_out = :bytes_out, peak_memory_bytes = :peak_memory_bytes, cpu_ms = :cpu_ms,
    exit_code = :exit_code, oom_killed = :oom_killed, stopped = :stopped
WHERE attempt = :attempt AND scan_id = (SELECT id FROM scan_jobs WHERE {_GUARD})
"""  # noqa: S608 - the guard is a constant of this file

#: What the trigger that closes the attempt cannot know.
PUT_END = f"""
UPDATE attempts SET counts_as_failure = :counts_as_failure, term = :term
WHERE attempt = :attempt AND scan_id = (SELECT id FROM scan_jobs WHERE {_GUARD})
"""  # noqa: S608 - the guard is a constant of this file
