"""What the kernel says of the networks of this host."""
