"""Redis: the queue of wake-ups, and the connections of its producers and consumers."""
