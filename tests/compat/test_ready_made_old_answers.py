"""``git clone guts://`` of nodes that are behind, or hide what came since: what was seen once is not forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from .devnet import Devnet, Git
from .people import a_repository
from .ready_user import User, assert_one_sentence, changed, push, replayed

pytestmark = pytest.mark.e2e
_DAY_MS = 86_400_000


@pytest.fixture
def user(net: Devnet, tmp_path: Path) -> User:
    return User(net, tmp_path / "user", tuple(net.url(index) for index in range(4)))


def test_an_answer_older_than_one_seen_is_refused(net: Devnet, alice: Git, user: User) -> None:
    """A node that shows last week's proof shows nothing false."""
    work = a_repository(net, alice, "old")
    with changed(net.url(0), replayed([])) as node:
        user.nodes = (node,)
        user.git("clone", "--bare", "guts://alice/old", "copy")
        tip = push(net, work, "old")
        # What is as new as the newest that was seen is as good as any.
        same = user.git("-C", "copy", "fetch", "origin", "main:main")
        user.nodes = (net.url(1),)
        user.git("-C", "copy", "fetch", "origin", "main:main")
        assert tip in user.refs("copy")
        user.nodes = (node,)
        behind = user.git("ls-remote", "guts://alice/old")
        (seen,) = (user.home / "networks").glob("*.newest/alice/old")
        seen.write_text(_earlier(seen.read_text()))
        refused = user.git("-C", "copy", "fetch", "origin", "main:main", check=False)
        user.nodes = (node, net.url(1))
        elsewhere = user.git("-C", "copy", "fetch", "origin", "main:main")

    assert same == ""
    assert "behind" in behind
    assert_one_sentence(refused)
    assert "was seen here" in refused
    assert f"rm {seen}" in refused
    assert "another node was asked" in elsewhere
    assert tip in user.refs("copy")


def _earlier(record: str) -> str:
    """As if it had been seen yesterday."""
    height, seen = record.split()
    return f"{height} {int(seen) - _DAY_MS}\n"


def test_what_was_seen_last_is_asked_for_no_more_where_it_makes_no_sense(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "senseless")
    user.git("clone", "--bare", "guts://alice/senseless", "copy")
    (seen,) = (user.home / "networks").glob("*.newest/alice/senseless")
    seen.write_text("a hundred\n")

    said = user.git("-C", "copy", "fetch", "origin", check=False)

    assert_one_sentence(said)
    assert f"rm {seen}" in said
