"""The ports in the memory of this process; the files have the names of `safeurl.adapters.sql`."""
