"""The ports in the memory of this process; file names as in `safeurl.adapters.sql`."""
