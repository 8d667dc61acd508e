"""What tags stand for: many ask for the same at one moment, and who has no turn left holds nobody up."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from guts_core.names import Oid
from guts_http.clients import Trusted
from guts_http.git.peeling import Peeled
from guts_http.turns import Shares, Turns
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import a_history, git

ONE, OTHER = "192.0.2.1", "192.0.2.2"


async def test_who_waits_for_its_own_share_holds_up_no_listing(tmp_path: Path) -> None:
    """It asks first what another address asks as well: the other is answered, and then it is."""
    work = await a_history(tmp_path, commits=1)
    assert (await git(work, "tag", "-a", "-m", "one", "v1")).code == 0
    tag, tip = [Oid(bytes.fromhex((await git(work, "rev-parse", name)).out.strip())) for name in ("v1", "main")]
    reads = Turns(4, PATIENCE_SECONDS, "readers", Shares(25, Trusted()))
    peeled, told = Peeled(reads, PATIENCE_SECONDS), dict[str, dict[Oid, Oid | None]]()

    async def wait() -> None:
        told[ONE] = await peeled.of(f"{work}/.git", [tag, tip], ONE)

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery, reads.one(ONE):
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            told[OTHER] = await peeled.of(f"{work}/.git", [tag, tip], OTHER)
            assert list(told) == [OTHER]

    assert told == {ONE: {tag: tip, tip: None}, OTHER: {tag: tip, tip: None}}
    assert reads.all.borrowed_tokens == 0
