"""Stock git against real node processes on loopback."""
