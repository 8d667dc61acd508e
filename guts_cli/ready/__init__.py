"""``git-remote-guts``: clones of packs and indexes that stand ready, checked by digests and one proof."""
