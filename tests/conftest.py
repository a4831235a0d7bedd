"""What holds for every test, whoever started it and however busy the machine is."""

import signal

from hypothesis import HealthCheck, settings

# A process that was started with SIGINT ignored hands that on to the commands under test; a
# handler, unlike "ignored", ends at their exec.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("safeurl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("safeurl")
