"""Between two nodes: mutual authentication and encrypted frames, without I/O."""
