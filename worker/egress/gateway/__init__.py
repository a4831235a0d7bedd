"""The egress gateway process."""
