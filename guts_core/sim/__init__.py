"""Several whole nodes, one seed, one virtual clock."""
