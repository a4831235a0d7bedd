"""The executor: the only process that holds the Docker socket."""
