"""Joining from a snapshot: what it is made of, whom to ask for it, and why to believe it."""
