"""The pure, deterministic core of Guts: no I/O, no clock, no dice, no async, no logging."""

VERSION = "0.1.0"
