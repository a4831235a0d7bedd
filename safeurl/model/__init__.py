"""What a scan and its evidence are, as plain values."""
