"""A canary in a description, on real nodes: after its erasure no file of any node holds it, and the chain verifies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .devnet import Devnet, wait_until
from .people import alice_of

NAME = "alice/diary"


def directory(net: Devnet, index: int) -> Path:
    return Path(net.info["nodes"][index]["dir"])


def holders(path: Path, words: bytes) -> list[str]:
    """Every file below that holds these bytes: database, logs, texts, whatever else stands there."""
    found = []
    for file in path.rglob("*"):
        try:
            if file.is_file() and words in file.read_bytes():
                found.append(str(file.relative_to(path)))
        except FileNotFoundError:
            continue  # it went away between the two
    return found


def text_of(net: Devnet, index: int, commitment: str) -> Any:
    return net.http(index, f"/api/guts/v1/repos/{NAME}/texts/{commitment}")


def test_an_erased_text_is_on_no_disk(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """
    One node is away when it is written, another when it is erased, and one starts from nothing afterwards.

    Absent and erased are told apart throughout, and every node comes to the same state root.
    """
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    canary = os.urandom(16).hex()
    words = f"dear diary, {canary}"

    net.kill(3)
    net.guts("repo", "create", "diary", "--description", words, "--node", net.url(0))
    [listed] = net.guts_json("text", "list", NAME, "--node", net.url(0))["texts"]
    commitment = listed["commitment"]
    net.wait_height(net.status(0)["height"], 0, 1, 2)
    assert text_of(net, 1, commitment).json["text"] == words

    net.start_node(3)
    wait_until(lambda: text_of(net, 3, commitment).status == 200, "the node that was away has the text")
    assert text_of(net, 3, commitment).json["text"] == words
    wait_until(lambda: net.status(3)["missing_texts"] == 0, "it misses no text")
    stored = [
        index for index in range(4) if any(commitment in one for one in holders(directory(net, index), canary.encode()))
    ]
    assert stored == [0, 1, 2, 3]

    # Node 3 loses its file while it is alone: the text is absent, which is not erased.
    [file] = (directory(net, 3) / "texts").glob(f"*/{commitment}-*")
    net.kill(0, 1, 2, 3)
    file.unlink()
    net.start_node(3)
    absent = text_of(net, 3, commitment)
    assert (absent.status, net.status(3)["missing_texts"]) == (503, 1)
    assert "retry-after" in {name.lower() for name in absent.headers}
    for index in (0, 1, 2):
        net.start_node(index)
    wait_until(lambda: text_of(net, 3, commitment).status == 200, "the others give it again")

    net.kill(2)
    erased = net.guts_json("text", "erase", NAME, "--node", net.url(0))
    assert (erased["commitment"], erased["state"]) == (commitment, "erased")
    net.wait_height(erased["height"], 0, 1, 3)
    for index in (0, 1, 3):
        answer = text_of(net, index, commitment)
        assert (answer.status, answer.json["state"], answer.json["text"]) == (200, "erased", None)
        assert net.http(index, f"/api/v3/repos/{NAME}").json["description"] is None
        wait_until(lambda i=index: not holders(directory(net, i), canary.encode()), f"node {index} has no trace")  # type: ignore[misc]  # binds now

    assert holders(directory(net, 2), canary.encode()) != []
    net.start_node(2)
    net.wait_height(erased["height"], 2)
    wait_until(lambda: not holders(directory(net, 2), canary.encode()), "the one that was away has no trace")
    assert alice.token is not None
    again = net.http(2, f"/api/guts/v1/repos/{NAME}/texts/{commitment}", token=alice.token, method="DELETE")
    assert again.status == 204

    from_nothing(net, 3)
    net.wait_height(erased["height"], 3)
    net.assert_same_state()
    assert text_of(net, 3, commitment).json["state"] == "erased"
    assert net.status(3)["missing_texts"] == 0
    net.stop()
    assert holders(tmp_path / "net", canary.encode()) == []


def from_nothing(net: Devnet, index: int) -> None:
    """A node that lost its database, and executes every block again: none of them has words in it."""
    net.kill(index)
    for name in ("chain.db", "chain.db-wal", "chain.db-shm"):
        (directory(net, index) / name).unlink(missing_ok=True)
    net.start_node(index)
