"""Ten clients on one branch: block order decides, losers are told, nobody's work is lost."""

from __future__ import annotations

from pathlib import Path

from .devnet import Devnet, Git
from .people import create_repository

CLIENTS = 10


def test_ten_clients_push_to_one_branch_until_all_are_in(net: Devnet, alice: Git, tmp_path: Path) -> None:
    """One wins a round; the others see a rejection that git prints well, rebase, and come again."""
    create_repository(net, alice, "busy")
    seed = alice.at(_made(alice.directory / "seed"))
    seed("init", "-q")
    seed.commit("README", "start\n")
    seed("push", "-q", f"{net.url(0)}/alice/busy.git", "HEAD:refs/heads/main")
    clients = []
    for number in range(CLIENTS):
        work = alice.at(_made(tmp_path / f"c{number}")).clone(f"{net.url(number % 4)}/alice/busy.git", "busy")
        work.commit(f"file{number}", f"{number}\n", f"commit of {number}")
        clients.append(work)

    waiting, rounds = list(clients), 0
    while waiting:
        rounds += 1
        pushes = [(work, work.popen("push", "origin", "HEAD:main")) for work in waiting]
        results = [(work, push.communicate(timeout=300)[0], push.returncode) for work, push in pushes]
        won = [work for work, _, code in results if code == 0]
        assert len(won) >= 1, results
        for work, output, code in results:
            if code != 0:
                assert "rejected" in output, output
                assert "fetch first" in output, output
                work("pull", "-q", "--rebase", "origin", "main")
        waiting = [work for work, _, code in results if code != 0]
        assert rounds <= 2 * CLIENTS

    last = alice.clone(f"{net.url(3)}/alice/busy.git", "result")
    subjects = last("log", "--format=%s").stdout.splitlines()
    assert sorted(subjects) == sorted(["change", *(f"commit of {number}" for number in range(CLIENTS))])
    net.assert_same_state()


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path
