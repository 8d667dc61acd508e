"""The limits of ``consensus.md`` 1.11: what a peer, or a long night, can make an engine hold."""

from __future__ import annotations

# Votes and proposals this far above the own view are kept; a laggard further behind is moved by certificates.
FUTURE_VIEWS_MAX = 16
# Individual votes of views this far below the own one are let go: only stragglers would still use them.
VOTES_KEPT_VIEWS = 16
# Beyond this many unfinalized views an old nullified view keeps its nullification and nothing else.
ROUNDS_MAX = 4096
# Certificates in one message: with a 1 MiB body the frame stays below the 2 MiB of a control frame.
CERTIFICATE_BYTES_MAX = 512 * 1024
# Blocks in one answer; one block may exceed it alone, never in company.
SUPPLY_BYTES_MAX = 1 << 20
# While catching up, this much is held before the walk back starts to remember only where it was.
SYNC_BLOCKS_MAX = 1024
SYNC_BYTES_MAX = 32 << 20
# Answers a peer may owe us; one that was not asked for is not read.
ASKED_MAX = 2
# Growth of the timeout: x 1.5 after n views without finality, at most 6 times, and never above 8x.
PATIENCE_STEPS_MAX = 6
PATIENCE_MAX = 8
# Vote bodies remembered between signing, counting and certifying: a few per live view.
CONTENTS_KEPT = 256
# Evidence of this epoch and so many before it is kept and may be reported.
EVIDENCE_EPOCHS = 2
