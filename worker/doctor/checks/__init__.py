"""The doctor's checks: each reads facts and returns findings."""
