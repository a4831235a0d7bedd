"""The DNS client of the gateway."""
