"""Rotating an account's key: whoever is interrupted, wherever, still has the key that works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guts_cli import rotation
from guts_cli.acting import Network, open_network
from guts_cli.home import Home
from guts_cli.keys import AccountKey
from guts_core.chain.compose import rotate_key
from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.ports import free_ports

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A network of one node; alice is at this desk."""
    path = tmp_path_factory.mktemp("keys")
    desk = Desk(path, path / "net")
    port = str(free_ports(1)[0])
    desk.json("devnet", "start", "--validators", "1", "--dir", "net", "--http-port", port, "--detach")
    yield desk
    desk.run("devnet", "stop", "--dir", "net")


@pytest.fixture
def person(net: Desk, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """An account of this test's own, whose desk knows the network and nobody else."""
    name = f"p{abs(hash(request.node.name)) % 10**12}"
    net.json("account", "create", name)
    desk = Desk(tmp_path, tmp_path / "home")
    shared, own = Home(net.home), Home(desk.home)
    context = shared.current()
    assert context is not None
    key = shared.keys_by_name(name)[0]
    own.keep_key(key)
    own.remember(type(context)(context.name, context.chain_id, context.nodes, key.id))
    return desk


def on_chain(network: Network, key: AccountKey) -> set[bytes]:
    return set(network.keys_on_chain(key))


Step = Callable[[Network, AccountKey, AccountKey], object]


def store(network: Network, _old: AccountKey, new: AccountKey) -> object:
    return network.home.keep_next_key(new)


def submit(network: Network, old: AccountKey, new: AccountKey) -> object:
    return network.act(old, rotate_key(network.chain_id, old.account, old.pair.public_key, new.pair))


def retire(network: Network, old: AccountKey, _new: AccountKey) -> object:
    return network.home.retire_key(old)


def replace(network: Network, _old: AccountKey, new: AccountKey) -> object:
    return network.home.keep_key(new)


STEPS: tuple[Step, ...] = (store, submit, retire, replace)


@pytest.mark.parametrize("done", range(len(STEPS) + 1))
def test_a_rotation_that_ends_after_any_step_leaves_a_key_that_works(person: Desk, done: int) -> None:
    """Power fails between two steps: the next command signs, and the next rotation succeeds."""
    with open_network(None, home=Home(person.home)) as network:
        old = network.key(None)
        new = rotation.prepare(Home(person.home), old)
        network.home.forget_next_key(old)
        for step in STEPS[:done]:
            step(network, old, new)

    person.json("repo", "create", "after")
    again = person.json("key", "rotate")
    person.json("repo", "create", "later")

    with open_network(None, home=Home(person.home)) as network:
        assert {bytes.fromhex(again["new"])} == on_chain(network, old)
    assert again["old"] == (old if done < STEPS.index(submit) + 1 else new).pair.public_key.hex()
    states = [row["state"] for row in person.json("key", "show")["keys"]]
    assert states.count("active") == 1
    assert not list((person.home / "keys").glob("*.next"))


@pytest.mark.parametrize("appears", ["*.next", "*.retired-*"])
def test_a_rotation_that_is_killed_leaves_a_key_that_works(person: Desk, appears: str) -> None:
    """Whether the change became final is not known to whoever is gone: both keys are on disk, the network decides."""
    keys = person.home / "keys"
    argv = [sys.executable, "-m", "guts_cli", "key", "rotate"]
    child = subprocess.Popen(argv, env=person.environment(), stdout=subprocess.PIPE)
    while not list(keys.glob(appears)):
        assert child.poll() is None
    child.kill()
    child.communicate(timeout=PATIENCE_SECONDS)

    person.json("repo", "create", "between")
    person.json("key", "rotate")
    person.json("repo", "create", "after")

    assert [row["state"] for row in person.json("key", "show")["keys"]].count("active") == 1
    assert not list(keys.glob("*.next"))


def test_a_key_of_another_machine_and_a_spare_one_sign(net: Desk, person: Desk, tmp_path: Path) -> None:
    """A lost machine is not a lost account."""
    name, url = person.json("key", "show")["keys"][0]["account"], Home(net.home).current()
    assert url is not None
    laptop = person.elsewhere("laptop")
    made = laptop.json("key", "new", name, "--node", url.nodes[0])
    refused = laptop.json("repo", "create", "early", code=4)
    person.json("key", "add", made["request"])
    laptop.json("repo", "create", "from-laptop")
    person.json("key", "add", "new", "--out", "spare.json")
    third = person.elsewhere("third")
    (third.home / "keys").mkdir(parents=True, mode=0o700)
    (person.directory / "spare.json").rename(third.home / "keys" / "spare.json")
    third.json("context", "add", url.nodes[0])
    third.json("context", "use", "devnet", "--account", name)
    third.json("repo", "create", "from-third")
    lost = person.json("key", "remove", made["public_key"])

    assert refused["error"]["code"] == "wrong-signatures"
    assert len(lost["keys"]) == 2
    assert laptop.json("repo", "create", "too-late", code=4)["error"]
    again = person.json("key", "add", made["request"], code=5)
    assert again["error"]["message"]
    assert person.json("key", "remove", person.json("key", "show")["keys"][0]["public_key"], code=2)["error"]["next"]
