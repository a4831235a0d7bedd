"""The statements of `Leadership`."""

#: The holder of the newest term may renew it at any time, also after its end.
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
