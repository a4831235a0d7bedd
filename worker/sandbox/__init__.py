"""The Docker room: everything that knows how a sandbox is made, watched and removed."""
