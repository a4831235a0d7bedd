"""The statements of `Backlog`."""

#: A row whose last write is in the future was written before the clock was set back. It is due.
DUE_CONDITION = "(run_after <= :settled OR updated_at > :skewed)"

#: In the order of the index: scans with attempts come first.
DUE = f"""
SELECT * FROM scan_jobs WHERE state = 'QUEUED' AND {DUE_CONDITION}
ORDER BY attempt = 0, run_after, id LIMIT :limit
"""  # noqa: S608 - the condition is a constant of ours

#: A CHECK constraint allows a lease only for FETCHING and ANALYZING.
LEASED = """
SELECT * FROM scan_jobs WHERE lease_until <= coalesce(:until, '~')
ORDER BY lease_until, id LIMIT :limit
"""
