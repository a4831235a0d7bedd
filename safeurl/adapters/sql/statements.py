"""Every SQL statement of the store; the same text runs on SQLite and on libSQL.

A change of a scan is a batch whose statements all carry the same guard, the UPDATE last of the
writes. The batch ends by asking for the row by its `change_id`: the row comes back exactly when
this very change took effect. So a batch may be repeated after its answer was lost: the second
time no guard holds, and the row still comes back.
"""

#: A write in the name of a leader also needs that leader's term to be the newest, and the lease to
#: be as the leader saw it: renewing one changes no version.
_FENCE = (
    "(:term IS NULL OR lease_until IS :seen_lease AND :term = (SELECT max(term) FROM leader_terms))"
)
_GUARD = f"id = :id AND version = :version AND state = :state AND {_FENCE}"

#: What was written later than now was written before the clock was set back: it waits no longer.
_DUE = "(run_after <= :settled OR updated_at > :skewed)"

#: The very same scan is left alone, so that an add whose answer was lost may be repeated.
ADD = """
INSERT INTO scan_jobs (
    id, url, submitted_url, profile, state, version, attempt, source,
    created_at, updated_at, run_after, actor, change_id
)
SELECT
    new.value->>'id', new.value->>'url', new.value->>'submitted_url', new.value->>'profile',
    new.value->>'state', new.value->>'version', new.value->>'attempt', new.value->>'source',
    new.value->>'created_at', new.value->>'updated_at', new.value->>'run_after',
    new.value->>'source', :change_id
FROM json_each(:scans) AS new
WHERE NOT EXISTS (
    SELECT 1 FROM scan_jobs AS old
    WHERE old.id = new.value->>'id'
        AND old.url = new.value->>'url'
        AND old.submitted_url = new.value->>'submitted_url'
        AND old.source = new.value->>'source'
        AND old.created_at = new.value->>'created_at'
)
"""

GET = "SELECT * FROM scan_jobs WHERE id = :id"

#: `~` comes after every id.
PAGE = """
SELECT * FROM scan_jobs WHERE id < coalesce(:before, '~') ORDER BY id DESC LIMIT :limit
"""

CHANGED = "SELECT * FROM scan_jobs WHERE id = :id AND change_id = :change_id"

CLAIM = f"""
UPDATE scan_jobs
SET state = 'FETCHING', version = version + 1, attempt = attempt + 1, updated_at = :now,
    lease_owner = :owner, lease_until = :lease_until, outcome = NULL, detail = NULL,
    actor = :owner, change_id = :change_id
WHERE id = :id AND state = 'QUEUED' AND {_DUE}
"""  # noqa: S608 - the condition is a constant of this file

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
NOTE = f"""
INSERT INTO audit_logs (scan_id, event, version, attempt, actor, detail, at)
SELECT id, :event, version, attempt, :actor, :detail, :now FROM scan_jobs
WHERE {_GUARD} AND NOT EXISTS (
    SELECT 1 FROM audit_logs
    WHERE scan_id = :id AND event = :event AND actor = :actor AND detail = :detail AND at = :now
)
"""  # noqa: S608 - the guard is a constant of this file

#: In the order of its index: what was tried before comes first.
DUE = f"""
SELECT * FROM scan_jobs WHERE state = 'QUEUED' AND {_DUE}
ORDER BY attempt = 0, run_after, id LIMIT :limit
"""  # noqa: S608 - the condition is a constant of this file

#: Only FETCHING and ANALYZING have a lease, by CHECK.
LEASED = """
SELECT * FROM scan_jobs WHERE lease_until <= coalesce(:until, '~')
ORDER BY lease_until, id LIMIT :limit
"""

RESULT = "SELECT * FROM scan_results WHERE scan_id = :id"

JUDGED = """
SELECT scan_id, score, verdict FROM scan_results
WHERE scan_id IN (SELECT value FROM json_each(:ids))
"""

EVIDENCE = "SELECT * FROM scan_evidence WHERE scan_id = :id"

ARTEFACTS = "SELECT * FROM artefacts WHERE scan_id = :id ORDER BY kind, sha256"

AUDIT = "SELECT * FROM audit_logs WHERE scan_id = :id ORDER BY id"

BEAT = """
INSERT INTO workers (
    id, host, pid, concurrency, started_at, beat_at, docker_ok, docker_detail, disk_free_bytes
)
VALUES (
    :id, :host, :pid, :concurrency, :started_at, :beat_at, :docker_ok, :docker_detail,
    :disk_free_bytes
)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, concurrency = excluded.concurrency,
    started_at = excluded.started_at, beat_at = excluded.beat_at,
    docker_ok = excluded.docker_ok, docker_detail = excluded.docker_detail,
    disk_free_bytes = excluded.disk_free_bytes
"""

RETIRE = "DELETE FROM workers WHERE id = :id"

FORGET_WORKERS = "DELETE FROM workers WHERE beat_at < :silent_since"

WORKERS = "SELECT * FROM workers WHERE beat_at >= :since ORDER BY beat_at DESC, id"

#: Counts that triggers keep; of scans themselves only those at work, and one that waits.
METRICS = """
SELECT
    coalesce((SELECT max(0, scans) FROM scan_counts WHERE state = 'QUEUED'), 0) AS pending,
    (SELECT count(*) FROM scan_jobs WHERE lease_until IS NOT NULL) AS in_progress,
    coalesce(sum(scans) FILTER (WHERE state = 'COMPLETED'), 0) AS recently_completed,
    coalesce(
        sum(scans) FILTER (WHERE state <> 'COMPLETED' AND outcome IS NOT 'cancelled'), 0
    ) AS recently_failed,
    coalesce(sum(scans) FILTER (WHERE outcome = 'cancelled'), 0) AS recently_cancelled,
    coalesce(
        sum(scans) FILTER (
            WHERE state = 'FAILED' AND outcome IN (SELECT value FROM json_each(:broken))
        ),
        0
    ) AS recently_broken,
    (SELECT min(created_at) FROM scan_jobs WHERE state = 'QUEUED') AS oldest_pending_at
FROM scan_endings WHERE minute > :hour_ago
"""

MIGRATIONS = "SELECT * FROM schema_migrations ORDER BY number"

MIGRATED = """
INSERT INTO schema_migrations (number, name, applied_at) VALUES (:number, :name, :now)
"""

#: The holder of the newest term keeps it as long as nobody else has begun one.
LEAD_ON = """
UPDATE leader_terms SET until = :until
WHERE term = (SELECT max(term) FROM leader_terms) AND holder = :holder
"""

LEAD = """
INSERT INTO leader_terms (term, holder, elected_at, until)
SELECT (SELECT coalesce(max(term), 0) + 1 FROM leader_terms), :holder, :now, :until
WHERE NOT EXISTS (
    SELECT 1 FROM leader_terms
    WHERE term = (SELECT max(term) FROM leader_terms) AND until > :now AND until <= :skewed
)
"""

NEWEST_TERM = "SELECT * FROM leader_terms WHERE term = (SELECT max(term) FROM leader_terms)"

RESIGN = """
UPDATE leader_terms SET until = :now
WHERE term = (SELECT max(term) FROM leader_terms) AND holder = :holder AND until > :now
"""
