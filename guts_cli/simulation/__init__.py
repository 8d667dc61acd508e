"""What of the simulator needs a machine: processes, files, and pytest."""
