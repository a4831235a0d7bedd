"""The sandbox on Docker: creates, watches and removes the containers of attempts."""
