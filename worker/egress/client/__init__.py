"""The worker's side of the egress gateway."""
