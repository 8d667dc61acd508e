"""``guts verify`` against files, and against nodes that lie: a small server that answers whatever a test likes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import evolve, frozen

from guts_cli import network as networks
from guts_cli.home import Context, Home
from guts_cli.network import DEVNET_PARAMS, Plan, Seat
from guts_cli.outcomes import Misconfigured
from guts_cli.pinned import pin_local, pinned
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.identity import token_of
from guts_core.names import ChainId
from guts_core.proof import RefsQuestion, TransactionQuestion
from guts_core.proof.format import ProofFile, RefsAnswer
from guts_core.proof.questions import about_ref
from guts_core.simplex.quorum import FaultModel
from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.cli.reference import differences, example
from tests.core.chain.chain_world import a_genesis, oid
from tests.core.proof.epoch_world import EpochNetwork, a_long_scene
from tests.core.proof.proof_world import ProofNetwork, Scene, a_scene

MAIN = about_ref("alice", "hello", "main")
ALL = RefsQuestion("alice", "hello")
# The chain's clock in these tests stands in 2027: no proof of it is of long ago, or of today.
LONG_AGO = "1s"


@cache
def scene() -> Scene:
    return a_scene()


def genesis_text(genesis: Genesis) -> str:
    return to_json(GenesisFile(genesis))


@frozen
class Liar:
    """A node that answers every question with the same bytes, and what it was asked."""

    url: str
    asked: list[dict[str, list[str]]]
    tokens: list[str | None]


@contextmanager
def answering(data: bytes, status: int = 200) -> Iterator[Liar]:
    """A server on loopback for as long as the block lasts."""
    asked: list[dict[str, list[str]]] = []
    tokens: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            tokens.append(self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is kept."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Liar(f"http://127.0.0.1:{server.server_port}", asked, tokens)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A home that believes the network of the scene, and its genesis as a file."""
    made = Desk(tmp_path, tmp_path / "home")
    (tmp_path / "genesis.json").write_text(genesis_text(scene().network.genesis))
    made.run("network", "trust", "genesis.json")
    return made


def test_the_pinned_networks_are_listed(desk: Desk) -> None:
    """What is believed can be looked up, and its file is the same network's."""
    stranger = desk.elsewhere("stranger")
    told = desk.json("network", "trust", "genesis.json")
    listed = desk.json("network", "list")
    chain = chain_id(scene().network.genesis).hex()

    assert stranger.json("network", "list") == {"networks": []}
    assert [row["chain_id"] for row in listed["networks"]] == [told["chain_id"]] == [chain]
    assert differences(example("guts network trust"), told) == []
    assert differences(example("guts network list"), listed) == []
    (desk.home / "networks" / f"{'0' * 64}.json").write_text(genesis_text(a_genesis(5)))
    assert "of another network" in desk.json("network", "list", code=2)["error"]["message"]


def test_what_is_no_genesis_is_not_trusted(desk: Desk) -> None:
    (desk.directory / "bad.json").write_text("{}")

    assert "bad.json" in desk.json("network", "trust", "bad.json", code=2)["error"]["message"]


def test_a_ref_is_verified_and_said(desk: Desk) -> None:
    """Oid, height, time, and who signed; the file that is kept says the same later."""
    with answering(scene().network.prove(MAIN)) as node:
        shown = desk.json("verify", "alice/hello@main", "--node", node.url, "--save", "main.proof")
        said = desk.run("verify", "alice/hello@main", "--node", node.url).stdout
        assert node.asked[0] == {"repo": ["alice/hello"], "ref": ["refs/heads/main"]}
    again = desk.json("verify", "main.proof")

    assert shown["oid"] == oid("refs/heads/main").hex()
    assert (shown["signers"], shown["validators"]) == (["node-0", "node-1", "node-2"], 4)
    assert shown["height"] == scene().network.ledgers[0].head.height
    assert differences(example("guts verify"), shown) == []
    assert {**shown, "saved": None} == again
    assert f"alice/hello@refs/heads/main  {oid('refs/heads/main').hex()}" in said
    assert "signed by 3 of 4 validators (node-0, node-1, node-2)" in said
    assert "final at 2027-01-15T08:00:05.000Z" in said


def test_all_refs_and_transactions_are_verified(desk: Desk) -> None:
    """The complete set, and a transaction with what came of it."""
    tx_id = transaction_id(scene().pushed.body)
    with answering(scene().network.prove(ALL)) as node:
        refs = desk.json("verify", "alice/hello", "--node", node.url)
        words = desk.run("verify", "alice/hello", "--node", node.url).stdout
    with answering(scene().network.prove(TransactionQuestion(tx_id))) as node:
        signed = desk.json("verify", "--tx", tx_id.hex(), "--node", node.url)
        told = desk.run("verify", "--tx", tx_id.hex(), "--node", node.url).stdout

    assert [one["ref"] for one in refs["refs"]] == ["refs/heads/feature", "refs/heads/main", "refs/tags/v1"]
    assert "has exactly these 3 refs:" in words
    assert signed["transaction"]["author"] == scene().alice.id.hex()
    assert signed["transaction"]["keys"][0] == scene().alice.credential.public_key.hex()
    assert [one["kind"] for one in signed["transaction"]["activities"]] == ["PackAdmitted", "RefUpdated"]
    assert f"transaction {tx_id.hex()} took effect" in told
    for shown in (refs, signed):
        assert differences(example("guts verify"), shown) == []


def test_an_absent_ref_is_proven_absent(desk: Desk) -> None:
    """Not a failure to prove: exit 3, and the height at which there was none."""
    with answering(scene().network.prove(about_ref("alice", "hello", "gone"))) as node:
        shown = desk.json("verify", "alice/hello@gone", "--node", node.url, code=3)
        said = desk.run("verify", "alice/hello@gone", "--node", node.url, code=3).stdout

    assert shown["oid"] is None
    assert f"proven absent at height {shown['height']}" in said


def test_a_node_that_only_says_no_is_told_apart(desk: Desk) -> None:
    """That there is no such repository cannot be proven to a stranger: the answer says whose word it is."""
    with answering(json.dumps({"message": "there is no repository alice/other"}).encode(), 404) as node:
        error = desk.json("verify", "alice/other@main", "--node", node.url, code=3)["error"]

    assert "its word, not a proof" in error["message"]


# ---- lies ----


def a_set_without_its_first() -> bytes:
    file = from_bytes(ProofFile, scene().network.prove(ALL))
    assert isinstance(file.answer, RefsAnswer)
    return to_bytes(evolve(file, answer=evolve(file.answer, refs=file.answer.refs[1:])))


@cache
def other_network() -> ProofNetwork:
    return a_scene(ProofNetwork(a_genesis(5), signers=(0, 1, 2, 3))).network


@pytest.mark.parametrize(
    ("target", "lie", "code"),
    [
        ("alice/hello", a_set_without_its_first, "incomplete-set"),
        ("alice/hello@main", lambda: scene().network.prove(about_ref("alice", "hello", "feature")), "other-question"),
        ("alice/hello@main", lambda: scene().network.prove(ALL), "other-question"),
        ("alice/hello@main", lambda: scene().network.prove(MAIN)[:-1], "not-a-proof"),
        ("alice/hello@main", lambda: scene().network.prove(MAIN) + b"\n", "not-a-proof"),
        ("alice/hello@main", lambda: b"<html>welcome to this hotel</html>", "not-a-proof"),
    ],
    ids=["omitted ref", "another ref", "another question", "cut off", "longer", "a page"],
)
def test_a_lie_exits_7(desk: Desk, target: str, lie: object, code: str) -> None:
    """Whatever the node says about itself."""
    assert callable(lie)
    with answering(lie()) as node:
        error = desk.json("verify", target, "--node", node.url, "--save", "kept.proof", code=7)["error"]

    assert error["code"] == code
    assert error["next"]
    assert not (desk.directory / "kept.proof").exists()


def test_the_proof_of_another_network_is_false_where_this_one_is_meant(desk: Desk) -> None:
    """A genesis that is named, and a context that knows the node, say which network is meant."""
    data = other_network().prove(MAIN)
    (desk.directory / "other.json").write_text(genesis_text(other_network().genesis))
    with answering(data) as node:
        named = desk.json("verify", "alice/hello@main", "--node", node.url, "--genesis", "genesis.json", code=7)
        unknown = desk.json("verify", "alice/hello@main", "--node", node.url, code=2)
        home = Home(desk.home)
        home.remember(Context("testnet", chain_id(scene().network.genesis).hex(), (node.url,)))
        desk.run("network", "trust", "other.json")
        meant = desk.json("verify", "alice/hello@main", code=7)
        given = desk.json("verify", "alice/hello@main", "--genesis", "other.json")

    assert named["error"]["code"] == meant["error"]["code"] == "other-network"
    assert unknown["error"]["code"] == "configuration"
    assert unknown["error"]["next"] == "guts network trust FILE"
    assert given["network"]["chain_id"] == chain_id(other_network().genesis).hex()


def test_an_old_proof_says_how_old_it_is_and_is_refused_when_that_is_too_old(desk: Desk) -> None:
    """A replayed proof was true: its height and time are told, and --max-age draws the line."""
    past = ProofNetwork(now=1_700_000_000_000, genesis=evolve(a_genesis(), time=1_700_000_000_000))
    a_scene(past)
    (desk.directory / "past.json").write_text(genesis_text(past.genesis))
    with answering(past.prove(MAIN)) as node:
        ask = ("verify", "alice/hello@main", "--node", node.url, "--genesis", "past.json")
        said = desk.run(*ask).stdout
        accepted = desk.json(*ask, "--max-age", "90000d")
        error = desk.json(*ask, "--max-age", "10m", code=7)["error"]
        odd = desk.json(*ask, "--max-age", "soon", code=2)["error"]

    assert "final at 2023-11-14" in said
    assert " d ago)" in said
    assert accepted["time"].startswith("2023-11-14")
    assert error["code"] == "too-old"
    assert "at most 10m is accepted" in error["message"]
    assert "--max-age" in odd["message"]


def test_a_proof_of_a_lower_height_is_refused_where_a_height_is_asked_for(desk: Desk) -> None:
    """Whoever saw a height takes none below it, from any node and from any file: it was true, and it is old."""
    height = scene().network.ledgers[0].head.height
    with answering(scene().network.prove(MAIN)) as node:
        ask = ("verify", "alice/hello@main", "--node", node.url)
        exact = desk.json(*ask, "--min-height", str(height))
        error = desk.json(*ask, "--min-height", str(height + 1), "--save", "kept.proof", code=7)["error"]
        odd = desk.json(*ask, "--min-height", "0", code=2)["error"]

    assert exact["height"] == height
    assert (error["code"], error["message"]) == (
        "too-old",
        f"the proof is of height {height}; at least {height + 1} is accepted",
    )
    assert not (desk.directory / "kept.proof").exists()
    assert "--min-height" in odd["message"]


@cache
def long_scene() -> Scene:
    return a_long_scene()


def test_validators_that_changed_are_followed_from_genesis(desk: Desk) -> None:
    """It is said in which epoch they signed; who leaves a change out, or shows another's certificate, lies."""
    network = long_scene().network
    (desk.directory / "long.json").write_text(genesis_text(network.genesis))
    file = from_bytes(ProofFile, network.prove(MAIN))
    steps = file.finality.epochs
    without = evolve(file, finality=evolve(file.finality, epochs=steps[:-1]))
    stale = evolve(file, finality=evolve(file.finality, certificate=steps[-1].certificate))
    ask = ("verify", "alice/hello@main", "--genesis", "long.json", "--node")

    with answering(to_bytes(file)) as node:
        shown = desk.json(*ask, node.url)
        said = desk.run(*ask, node.url).stdout
    with answering(to_bytes(without)) as node:
        shortened = desk.json(*ask, node.url, code=7)["error"]
    with answering(to_bytes(stale)) as node:
        replaced = desk.json(*ask, node.url, code=7)["error"]

    assert (shown["epoch"], shown["rules"], shown["signers"]) == (3, 0, ["node-0", "node-1", "node-2"])
    assert "  epoch    3, rules 0" in said
    assert shortened["code"] == "bad-epoch"
    assert shortened["message"].endswith("is of epoch 3, the ends of epochs in the proof lead to epoch 2")
    assert replaced["code"] == "bad-certificate"
    assert "the certificate is not of header" in replaced["message"]


def test_another_history_of_a_network_is_refused_by_who_saw_the_first(desk: Desk) -> None:
    """Signed by a quorum of retired keys it is as true as any; what was followed before is remembered."""
    network = long_scene().network
    forked = EpochNetwork(network.genesis)
    forked.pass_time(1)
    a_scene(forked)
    for _ in range(3):
        forked.turn()
    forked.step()
    (desk.directory / "long.json").write_text(genesis_text(network.genesis))
    (desk.directory / "first.proof").write_bytes(network.prove(MAIN))
    (desk.directory / "second.proof").write_bytes(forked.prove(MAIN))
    ask = ("--genesis", "long.json")

    desk.json("verify", "first.proof", *ask)
    kept = desk.home / "networks" / f"{chain_id(network.genesis).hex()}.epoch"
    epoch, boundary = kept.read_text().split()
    error = desk.json("verify", "second.proof", *ask, code=7)["error"]
    again = desk.json("verify", "first.proof", *ask)
    kept.write_text("three")
    unread = desk.json("verify", "first.proof", *ask, code=2)["error"]
    stranger = desk.elsewhere("stranger").json("verify", "../second.proof", "--genesis", "../long.json")

    assert epoch == "3"
    assert error["code"] == "bad-epoch"
    assert f"a proof that was true before says {boundary}" in error["message"]
    assert again["epoch"] == 3
    assert unread["next"] == f"rm {kept}"
    assert stranger["epoch"] == 3


def test_crash_mode_is_no_byzantine_agreement(desk: Desk) -> None:
    network = ProofNetwork(a_genesis(3, fault_model=FaultModel.CRASH), signers=(0, 1))
    a_scene(network)
    (desk.directory / "crash.json").write_text(genesis_text(network.genesis))
    (desk.directory / "main.proof").write_bytes(network.prove(MAIN))

    said = desk.run("verify", "main.proof", "--genesis", "crash.json").stdout

    assert "signed by 2 of 3 validators (node-0, node-1); agreed by one operator's majority, not BFT" in said


# ---- the rest of the door ----


def test_nobody_answers(desk: Desk) -> None:
    """6 is not 7: nothing was shown, neither true nor false."""
    error = desk.json("verify", "alice/hello@main", "--node", "http://127.0.0.1:1", code=6)["error"]

    assert error["code"] == "unreachable"


def test_of_several_nodes_the_first_that_proves_it_is_believed(desk: Desk) -> None:
    """One is away, one lies, one only says no; each is told, and the answer does not depend on them."""
    true = scene().network.prove(MAIN)
    with answering(b"a page") as liar, answering(b"{}", 404) as silent, answering(true) as honest:
        nodes = ("http://127.0.0.1:1", liar.url, silent.url, honest.url)
        ask = ("verify", "alice/hello@main", *(word for url in nodes for word in ("--node", url)))
        told = desk.run(*ask)
        failed = desk.json(*ask[:-2], code=7)["error"]

    said = [line for line in told.stderr.splitlines() if "another node was asked" in line]
    assert told.stdout == desk_says(desk, true)
    assert [line.split()[1].rstrip(":") for line in said] == list(nodes[:3])
    assert "these 6 bytes are no proof" in said[1]
    assert liar.url in failed["message"]


def desk_says(desk: Desk, data: bytes) -> str:
    """The same from one node."""
    with answering(data) as node:
        return desk.run("verify", "alice/hello@main", "--node", node.url).stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["alice/hello", "--tx", "00" * 32],
        ["hello.proof"],
        ["http://127.0.0.1:1/alice/hello"],
        ["Alice Smith/hello"],
        ["alice/hello@a..b"],
        ["--tx", "00"],
        ["alice/hello"],
    ],
)
def test_what_cannot_be_asked_is_a_matter_of_usage(desk: Desk, words: list[str]) -> None:
    """Two things at once, nothing, no file and no repository, or no node to ask."""
    assert desk.json("verify", *words, code=2)["error"]["message"]


def test_a_saved_token_is_shown_to_nodes_of_its_network_only(desk: Desk) -> None:
    """A node that somebody names is not handed what was made for others."""
    home, chain, token = Home(desk.home), chain_id(scene().network.genesis).hex(), token_of(bytes(32))
    with answering(scene().network.prove(MAIN)) as friend, answering(scene().network.prove(MAIN)) as stranger:
        home.remember(Context("testnet", chain, (friend.url,), "ab" * 32))
        home.keep_token(chain, "ab" * 32, token)
        desk.run("verify", "alice/hello@main")
        desk.run("verify", "alice/hello@main", "--node", stranger.url)

    assert friend.tokens == [f"token {token}"]
    assert stranger.tokens == [None]


def test_a_saved_proof_opens_no_socket(desk: Desk) -> None:
    """Verified where every use of a socket ends the process, which is shown to work by asking a node there."""
    (desk.directory / "main.proof").write_bytes(scene().network.prove(MAIN))
    forbidden = """
import sys
def refuse(event, _arguments):
    if event.startswith("socket."):
        raise SystemExit(f"forbidden: {event}")
sys.addaudithook(refuse)
from guts_cli.main import run
sys.exit(run(sys.argv[1:]))
"""

    def offline(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", forbidden, *words], cwd=desk.directory, env=desk.environment(), text=True,
            capture_output=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    saved = offline("verify", "main.proof", "--genesis", "genesis.json", "--json")
    pinned = offline("verify", "main.proof", "--json")
    asking = offline("verify", "alice/hello@main", "--node", "http://127.0.0.1:1")

    assert saved.returncode == pinned.returncode == 0, saved.stderr
    assert json.loads(saved.stdout)["oid"] == oid("refs/heads/main").hex()
    assert asking.returncode == 1
    assert "forbidden: socket." in asking.stderr


def test_a_network_made_here_is_believed_in_its_own_home_and_in_its_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `guts up` and `guts devnet start` do; a user whose home cannot be written has the network all the same."""
    monkeypatch.setenv("GUTS_HOME", str(tmp_path / "home"))
    plan = Plan("devnet", "alice", FaultModel.CRASH, DEVNET_PARAMS, (Seat(0, 18200, 19200),))
    made = networks.create(tmp_path / "net", plan)

    pin_local(made)

    chain = ChainId(bytes.fromhex(made.file.chain_id))
    assert pinned(Home(tmp_path / "home"), chain) == pinned(made.home, chain)
    monkeypatch.setenv("GUTS_HOME", "/proc/nowhere")
    pin_local(made)
    with pytest.raises(Misconfigured, match="is not pinned"):
        pinned(Home(tmp_path / "elsewhere"), chain)
