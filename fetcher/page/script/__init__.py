"""Static analysis of the scripts of a page; nothing is executed."""
