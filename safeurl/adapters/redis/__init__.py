"""The Redis room: the wake-up queue on RQ, and the connection both sides of it share."""
