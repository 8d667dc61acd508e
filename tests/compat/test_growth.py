"""A network that begins with one node, has four of which one comes back, and then three, while somebody pushes."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import define, field

from guts_cli.ports import choosing_ports
from guts_http.client import Status, open_client
from tests.ports import free_ports

from .devnet import PATIENCE_SECONDS, Git, wait_until
from .pages import Shell, Step, exchanged, steps
from .terminal import Terminal

pytestmark = pytest.mark.e2e
NAMES = ("ada", "bea", "cyd", "dan")
STOP_SECONDS = 60.0
# Between two pushes, so that a machine with two cores does something else, too.
REST_SECONDS = 0.5
REPOSITORY = "ada/log"


@define(eq=False)
class Person:
    """One of the four: a directory, a home, a shell, and a terminal in which the node stays."""

    name: str
    directory: Path
    http: str
    shell: Shell
    settings: Mapping[str, str]
    node: Terminal | None = field(default=None)

    @classmethod
    def open(cls, directory: Path, http: str) -> Person:
        """With a shell, nothing running yet."""
        directory.mkdir()
        (scratch := directory / "typed").mkdir()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        settings = {"PATH": path, "HOME": str(directory), "GUTS_HOME": str(directory / "home"), "LC_ALL": "C.UTF-8"}
        return cls(directory.name, directory, http, Shell.open(directory, settings, scratch), settings)

    def stay(self, command: str) -> Terminal:
        """Type a command into another terminal, and leave it there."""
        self.node = Terminal.open(["bash", "-c", f"exec {command}"], self.directory, self.settings)
        return self.node

    def leave(self) -> None:
        """Whatever happened, nothing goes on."""
        self.shell.close()
        if self.node is not None:
            self.node.close()


@define(eq=False)
class Pusher:
    """Pushes a commit after another with stock git, and remembers which ones were acknowledged."""

    git: Git
    url: str
    acknowledged: list[str] = field(factory=list)
    refused: list[str] = field(factory=list)
    thread: threading.Thread = field(init=False)
    _over: threading.Event = field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        """Until told to stop."""
        while not self._over.wait(REST_SECONDS):
            oid = self.git.commit("log", f"{len(self.acknowledged)} {len(self.refused)}\n")
            done = self.git("push", "-q", self.url, "HEAD:main", check=False)
            if done.returncode == 0:
                self.acknowledged.append(oid)
            else:
                self.refused.append(done.stderr)

    def wait_for_more(self) -> None:
        """Until another push went through that began from here on."""
        goal = len(self.acknowledged) + 2
        wait_until(lambda: len(self.acknowledged) >= goal, f"pushes go on; refused: {self.refused[-3:]}")

    def stop(self) -> None:
        """Begin no more; returns when none is on its way."""
        self._over.set()
        if self.thread.is_alive():
            self.thread.join()


@define(eq=False)
class Story:
    """The page as it is followed: who types what, and what goes from one to another."""

    people: Mapping[str, Person]
    words: dict[str, str]

    def follow(self, step: Step) -> None:
        """One block. What was printed for somebody else is remembered."""
        who = self.people[step.notes[0]]
        if "stay" in step.notes:
            self._stay(who, exchanged(step.commands, self.words))
            return
        self._wait_level(who)
        if "mv backup" in step.commands:
            # Until it led, it may not have voted since the backup was made: then nothing was forgotten.
            wait_until(lambda: asked(who).led > 0, f"{who.name} led")
        said = who.shell.type(step, self.words)
        if "kill -9" in step.commands:
            assert who.node is not None
            who.node.close()
            who.node = None
        if found := re.search(r"guts_key_[0-9a-f]+", said):
            self.words[f"KEY_OF_{who.name.upper()}"] = found[0]
        for entry in who.directory.glob("*.entry.json"):
            (self.people["ada"].directory / entry.name).write_bytes(entry.read_bytes())

    def _wait_level(self, who: Person) -> None:
        """Nobody types so fast that a node has not heard yet what was decided before."""
        if who.node is None or who.name == "ada":
            return
        who.node.wait_for("is ready at", PATIENCE_SECONDS)
        goal = asked(self.people["ada"]).height
        wait_until(lambda: asked(who).height >= goal, f"{who.name} has block {goal}")

    def _stay(self, who: Person, command: str) -> None:
        if who.name == "ada":
            who.stay(f"{command.rstrip()} --http-port {who.http.rpartition(':')[2]}").wait_for(
                "guts is up", PATIENCE_SECONDS
            )
            with open_client(f"http://{who.http}") as client:
                self.words["CHAIN_ID"] = client.status().chain_id.hex()
            return
        if "guts node run" in command:
            who.stay(command).wait_for("is ready at", PATIENCE_SECONDS)
            return
        request = who.stay(command).wait_for(r"guts network admit (guts_node_[0-9a-f]+)", PATIENCE_SECONDS)
        self.words[f"REQUEST_OF_{who.name.upper()}"] = request[1]


def asked(person: Person) -> Status:
    """How a node does."""
    with open_client(f"http://{person.http}") as client:
        return client.status()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Four people; their nodes end with the test."""
    with choosing_ports():  # not for longer: `guts up` chooses, too
        ports = [f"127.0.0.1:{port}" for port in free_ports(2 * len(NAMES))]
    with ExitStack() as stack:
        people = {}
        for name, http in zip(NAMES, ports, strict=False):
            people[name] = Person.open(tmp_path / name, http)
            stack.callback(people[name].leave)
        words = {f"127.0.0.1:{8080 + index}": ports[index] for index in range(len(NAMES))}
        words |= {f"127.0.0.1:{7080 + index}": ports[len(NAMES) + index] for index in range(len(NAMES))}
        yield Story(people, words)


@pytest.fixture
def pusher(story: Story, tmp_path: Path) -> Iterator[Callable[[], Pusher]]:
    """Starts somebody who pushes in the background through Ada's node."""
    (tmp_path / "work").mkdir()
    with ExitStack() as stack:

        def start() -> Pusher:
            ada = story.people["ada"]
            token = ada.shell.type(Step(0, "cat network/tokens/*")).strip()
            git = Git(tmp_path / "work", "ada", token)
            git("init", "-q")
            made = Pusher(git, f"http://{ada.http}/{REPOSITORY}.git")
            stack.callback(made.stop)
            return made

        yield start


def test_one_node_becomes_four_and_three_while_pushes_go_on(
    story: Story, pusher: Callable[[], Pusher], tmp_path: Path
) -> None:
    """Every push acknowledged at any size of the network is on every node in the end, also on the one voted out."""
    pushes: Pusher | None = None
    for step in steps("grow-a-network.md"):
        story.follow(step)
        if "guts network validators" not in step.commands:
            continue
        pushes = pushes or pusher()
        pushes.wait_for_more()
    assert pushes is not None
    pushes.stop()

    assert pushes.refused == []
    for person in story.people.values():
        assert_holds(person, pushes.acknowledged, tmp_path / f"clone-of-{person.name}")
    for person in story.people.values():
        assert person.node is not None
        person.node.interrupt(STOP_SECONDS)
        assert person.node.process.returncode == 0


def assert_holds(person: Person, acknowledged: list[str], place: Path) -> None:
    """A clone from this node has all of them."""
    git = Git(place.parent)
    url = f"http://{person.http}/{REPOSITORY}.git"
    wait_until(lambda: git.refs(url).get("refs/heads/main") == acknowledged[-1], f"{person.name} has the last push")
    there = git.clone(url, place.name)("rev-list", "HEAD").stdout.split()
    assert set(acknowledged) <= set(there)
