"""The composition root: the `guts` command."""
