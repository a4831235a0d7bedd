"""One connection of a sandbox: request, decision, dialling, bytes."""
