"""Settings of every test, for every user and every load of the machine."""

import signal

from hypothesis import HealthCheck, settings

# A process that was started with SIGINT ignored hands that on to the commands under test; a
# handler, unlike "ignored", ends at their exec.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("safeurl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("safeurl")
