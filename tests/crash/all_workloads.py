"""Every workload, by name, with how often its recovery is cut too."""

from __future__ import annotations

from tests.crash.blocks import BLOCKS
from tests.crash.exploring import Workload
from tests.crash.keys import FIRST_KEY, FOUNDING, ROTATION
from tests.crash.layouts import NEWER, OLDER
from tests.crash.packs import PACKS
from tests.crash.snapshots import IMPORT, MAKING
from tests.crash.voter import VOTER
from tests.crash.votes import VOTES

# Of so many different disks one is recovered with cuts: what recovers in many steps is cut at fewer.
AGAIN_EVERY: dict[Workload, int] = {
    VOTES: 1,
    VOTER: 3,
    BLOCKS: 80,
    PACKS: 12,
    MAKING: 5,
    IMPORT: 5,
    FOUNDING: 1,
    FIRST_KEY: 1,
    ROTATION: 1,
    OLDER: 10,
    NEWER: 10,
}
BY_NAME = {workload.name: workload for workload in AGAIN_EVERY}
