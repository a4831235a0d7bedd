"""Redis: the wake-up queue, and the connections of those who write and read it."""
