"""Simplex BFT agreement, without I/O."""
