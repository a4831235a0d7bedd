"""The checks of the doctor: each reads facts and returns findings."""
