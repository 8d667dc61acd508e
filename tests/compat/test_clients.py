"""The matrix of git clients: what each does at a real node is what ``docs/reference/clients.md`` says of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.clients.listener import listening
from tests.compat.clients.prepare import NotPreparedError, run
from tests.compat.clients.programs import ALL_MADE, PREPARE, TREE, Client, clients
from tests.compat.clients.table import KNOWN, LACKS, OF_THE_DISTRIBUTION, PAGE, Known, Lack, numbers, page
from tests.compat.clients.trials import BRANCHES, ROWS, Trial
from tests.optional_programs import lacking

from .conftest import running
from .devnet import PATIENCE_SECONDS, Devnet, Git
from .people import alice_of

pytestmark = pytest.mark.e2e
CLIENTS = clients()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A network of one validator: what clients speak is the same with more, which other tests have."""
    with running(tmp_path_factory.mktemp("one"), 1) as started:
        yield started


@pytest.fixture(scope="module")
def library(node: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """Repositories that trials only read: one of two branches, a merge, a tag of each kind; one of many branches."""
    work = alice_of(node, tmp_path_factory.mktemp("library"))
    work("init", "-q")
    work.commit("file", "first\n", "first")
    work("checkout", "-q", "-b", "side")
    work.commit("other", "on the side\n", "side")
    work("checkout", "-q", "main")
    work.commit("file", "library\n", "second")
    work("merge", "-q", "--no-ff", "-m", "merged", "side")
    work("tag", "light")
    work("tag", "-a", "-m", "noted", "noted")
    work("push", "-q", f"{node.url(0)}/alice/library.git", "main", "side", "light", "noted")
    oid = work.oid("main")
    lines = "".join(f"create refs/heads/b/{number} {oid}\n" for number in range(BRANCHES))
    work("update-ref", "--stdin", stdin=lines)
    work("push", "-q", f"{node.url(0)}/alice/branches.git", "main", "refs/heads/b/*")
    return work


def the_client(name: str) -> Client:
    """A client that can be run here; otherwise the test ends with words."""
    client = CLIENTS[name]
    if client.made is not None and not client.is_here:
        lacking(client.made.words)
    return client


def said(client: Client, *words: str) -> str:
    """What a driver answers where nobody is signed in, and no setting of the machine counts."""
    nobody = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    environment = nobody | client.environment
    return subprocess.run(
        [*client.argv, *words], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    ).stdout.strip()


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_does_what_the_matrix_says(name: str, row: str, node: Devnet, library: Git, tmp_path: Path) -> None:
    """No less than the page promises, and no more: what it says to be lacking fails in the words that are expected."""
    client = the_client(name)
    own = re.sub(r"[^a-z0-9]+", "-", f"{name}-{row}".lower()).strip("-")
    trial = Trial(client, node, library, alice_of(node, tmp_path / "alice"), own)
    lack = LACKS.get((name, row))
    if lack is None:
        ROWS[row](trial)
    else:
        lacks(trial, row, lack)


def lacks(trial: Trial, row: str, lack: Lack) -> None:
    """It fails by the client; one of the distribution may have learned it since."""
    failure = failure_of(trial, row)
    if failure is not None:
        assert re.search(lack.words, failure)
        return
    (known,) = (one for one in KNOWN if one.name == trial.client.name)
    newer = numbers(trial.does("version")) > numbers(known.version)
    assert newer, f"{known.name} does this now: take it out of LACKS"


def failure_of(trial: Trial, row: str) -> str | None:
    try:
        ROWS[row](trial)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_client_is_the_one_that_the_matrix_names(known: Known) -> None:
    """The pinned ones exactly; those of the distribution are not older."""
    version = said(the_client(known.name), "version")

    if known.name in OF_THE_DISTRIBUTION:
        assert numbers(version) >= numbers(known.version)
    else:
        assert version == known.version


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_client_asks_for_the_protocol_that_the_matrix_names(known: Known, tmp_path: Path) -> None:
    """Read from its first request."""
    client = the_client(known.name)
    with listening() as heard:
        said(client, "clone", f"{heard.url}/alice/library.git", str(tmp_path / "copy"))
        newer = numbers(said(client, "version")) > numbers(known.version)

    assert heard.heads[0].startswith("GET /alice/library.git/info/refs?service=git-upload-pack ")
    assert heard.header("git-protocol") == known.protocol or newer


def test_the_page_is_made_from_the_matrix() -> None:
    """`python -m tests.compat.clients.table --write` makes it."""
    assert page() == PAGE.read_text()
    assert {known.name for known in KNOWN} == set(CLIENTS)
    assert {name for name, _ in LACKS} <= set(CLIENTS)
    assert {row for _, row in LACKS} <= set(ROWS)


def prepared(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """`prepare` where this directory holds all programs there are, and a cache that is empty."""
    environment = {"PATH": str(tmp_path), "GUTS_CLIENTS": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    argv = [sys.executable, *PREPARE.split()[1:]]
    return subprocess.run(
        argv, env=environment, cwd=TREE, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


def test_what_cannot_be_prepared_is_said_with_what_to_install(tmp_path: Path) -> None:
    """On a machine without java, go and npm: each is named, nothing is left half made, and it ends."""
    done = prepared(tmp_path)

    assert done.returncode == 1
    assert done.stdout == "not prepared: isomorphic-git, JGit, go-git\n"
    assert "isomorphic-git: npm is not there\n  it needs: sudo apt install nodejs npm\n" in done.stderr
    assert all(made.name in done.stderr for made in ALL_MADE)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_registry_that_fails_is_asked_three_times_and_then_named(tmp_path: Path) -> None:
    """Its own words stand at the end."""
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\necho the registry is tired\nexit 7\n")
    npm.chmod(0o755)
    done = prepared(tmp_path)

    assert (
        "isomorphic-git: tried 3 times what `npm config get registry` names; npm ended with 7: the registry is tired\n"
        in done.stderr
    )
    assert (tmp_path / "asked").read_text() == "asked\n" * 3


@pytest.mark.parametrize(("ci", "ends"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_client_that_is_not_here_is_named_with_what_to_install(
    ci: str, ends: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And under CI that is a failure."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("GUTS_CLIENTS", str(tmp_path))

    with pytest.raises(ends, match=f"^this test needs JGit: sudo apt install default-jdk-headless .*, then {PREPARE}$"):
        the_client("JGit")


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """With what it started, and in words."""
    with pytest.raises(NotPreparedError, match=r"^sleep took longer than 0.1 s$"):
        run(("sleep", "3600"), tmp_path, seconds=0.1)
