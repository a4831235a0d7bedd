"""The egress gateway: decides about each outbound connection of a sandbox, and makes it."""
