"""The tasks of the leader for all hosts: rescue and sealing; and its election."""
