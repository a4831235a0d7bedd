"""The statements of `ScanStore`."""

#: An equal scan is not inserted again, so that this may run twice if its response was lost.
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

#: `~` sorts after every id.
PAGE = """
SELECT * FROM scan_jobs WHERE id < coalesce(:before, '~') ORDER BY id DESC LIMIT :limit
"""

RESULT = "SELECT * FROM scan_results WHERE scan_id = :id"

SUMMARIES = """
SELECT scan_id, score, verdict FROM scan_results
WHERE scan_id IN (SELECT value FROM json_each(:ids))
"""

EVIDENCE = "SELECT * FROM scan_evidence WHERE scan_id = :id"

ARTEFACTS = "SELECT * FROM artefacts WHERE scan_id = :id ORDER BY kind, sha256"
