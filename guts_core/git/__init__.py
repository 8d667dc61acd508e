"""git's names and wire formats as pure code: refs, pkt-line, receive-pack as a state machine."""
