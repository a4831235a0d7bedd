"""The statement of `MetricsReader`."""

#: Reads counts that triggers maintain. Of the scans it reads only the leased ones and the oldest
#: waiting one.
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
