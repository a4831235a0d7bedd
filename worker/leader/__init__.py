"""What one worker does for all hosts: election, rescue, sealing."""
