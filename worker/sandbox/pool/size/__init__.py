"""How many sandboxes the pool keeps ready, and what that depends on."""
