"""The power is cut at every operation, in every way a disk may take it, and again while a node recovers."""
