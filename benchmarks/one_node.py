"""``python -m benchmarks.one_node WORLD INDEX``: one validator of a benchmark's network, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from guts_net.collecting import collect_rarely
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings


async def run(path: Path, index: int, port: int) -> None:
    """Until killed."""
    settings = NodeSettings(
        path / f"node{index}", path / "genesis.json", p2p=f"127.0.0.1:{port}", log_path=path / f"node{index}.log"
    )
    async with open_node(settings):
        collect_rarely()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
