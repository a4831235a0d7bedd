"""What holds for every test: a shell that ran us in the background has not taken Ctrl-C away."""

import signal

# A process that was started with SIGINT ignored hands that on to the commands under test; a
# handler, unlike "ignored", ends at their exec.
signal.signal(signal.SIGINT, signal.default_int_handler)
