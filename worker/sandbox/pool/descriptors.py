"""What the kernel says about a descriptor at this moment."""

import select


def has_ended(descriptor: int) -> bool:
    """Return True if the peer of a stream socket has closed it, at least in our direction."""
    return bool(_poll(descriptor, select.POLLRDHUP) & (select.POLLRDHUP | _BROKEN))


def is_silent(descriptor: int) -> bool:
    """Return True if a stream socket is open in both directions and there is nothing to read."""
    return not _poll(descriptor, select.POLLIN | select.POLLRDHUP)


_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL


def _poll(descriptor: int, wanted: int) -> int:
    poll = select.poll()
    poll.register(descriptor, wanted)
    return next((events for _, events in poll.poll(0)), 0)
