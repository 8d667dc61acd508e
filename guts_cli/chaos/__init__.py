"""A network of real processes on this machine, and everything done to it that its promises say it survives."""
