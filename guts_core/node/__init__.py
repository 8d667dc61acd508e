"""One node's decisions: events in, effects out."""
