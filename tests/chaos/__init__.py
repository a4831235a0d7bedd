"""What we promise under failure: everything is killed at random, and nothing accepted is lost."""
