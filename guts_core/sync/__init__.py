"""Ask for and serve what a node misses."""
