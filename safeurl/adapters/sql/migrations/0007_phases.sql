-- How long each phase of an attempt took, in milliseconds. Columns are added and no row is written:
-- of earlier attempts the phases are not known. The rule stands on the last column, because a rule
-- of the table could only be added by writing all of its rows again.
ALTER TABLE attempts ADD COLUMN push_ms REAL;
ALTER TABLE attempts ADD COLUMN wake_ms REAL;
ALTER TABLE attempts ADD COLUMN dispatch_ms REAL;
ALTER TABLE attempts ADD COLUMN claim_ms REAL;
ALTER TABLE attempts ADD COLUMN prepare_ms REAL;
ALTER TABLE attempts ADD COLUMN bind_ms REAL;
ALTER TABLE attempts ADD COLUMN fetch_ms REAL;
ALTER TABLE attempts ADD COLUMN close_ms REAL;
ALTER TABLE attempts ADD COLUMN store_ms REAL;
ALTER TABLE attempts ADD COLUMN analyse_ms REAL CONSTRAINT attempts_phases_count CHECK (
        min(
            coalesce(push_ms, 0), coalesce(wake_ms, 0), coalesce(dispatch_ms, 0),
            coalesce(claim_ms, 0), coalesce(prepare_ms, 0), coalesce(bind_ms, 0),
            coalesce(fetch_ms, 0), coalesce(close_ms, 0), coalesce(store_ms, 0),
            coalesce(analyse_ms, 0)
        ) >= 0
    );
