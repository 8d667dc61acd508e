"""Rotten packs under the doors that read in process: never shown, and looked at by the node at once."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.faults.test_fault_rot import served
from tests.net.world import wait_until

PATIENCE_SECONDS = 180
TRAILER = 20


async def test_fault_F09_files_of_rotten_bytes_are_not_shown_and_are_looked_at(tmp_path: Path) -> None:
    """A reader of the API stumbles over it as a clone does: an error, and the pack is fetched again from a peer."""
    async with served(tmp_path) as (node, url, path):
        kept = path.read_bytes()
        async with httpx.AsyncClient(base_url=f"{url}/api/v3/repos/alice/hello0", timeout=PATIENCE_SECONDS) as http:
            before = await http.get("/contents/data")
            with path.open("r+b") as file:  # in place: the links to it rot with it
                path.chmod(0o600)
                for at in range(len(kept) - TRAILER - 10, len(kept) - TRAILER):  # of the file, which comes last
                    file.seek(at)
                    file.write(bytes((kept[at] ^ 8,)))
            during = await http.get("/contents/data")
            await wait_until(lambda: path.exists() and path.read_bytes() == kept)
            await wait_until(lambda: node._server._status().missing_packs == 0)
            after = await http.get("/contents/data")

    assert (during.status_code, during.json()["code"]) == (500, "corrupt")
    assert (before.status_code, after.status_code) == (200, 200)
    assert before.json() == after.json()
