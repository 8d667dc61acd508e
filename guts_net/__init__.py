"""Trio adapters: sockets, disk, clock and child processes around the core."""
