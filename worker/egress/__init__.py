"""The egress gateway: makes every outbound connection for sandboxes, and decides about each."""
