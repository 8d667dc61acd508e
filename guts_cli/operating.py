"""
Operators at the command line: with which key, of which account, and the files that travel between machines.

An operator signs here with an account key, that of the home or the one beside a node's other keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from click.core import ParameterSource

from guts_core.chain.compose import add_validator, admit_follower
from guts_core.errors import Invalid
from guts_core.forge.actions import Action, AdmitFollower
from guts_core.forge.decisions import AddValidator, Candidacy, Following
from guts_core.identity import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, KeyPair
from guts_core.names import AccountId, ChainId, NodeId
from guts_http.client import Client
from guts_http.client.council import Decision, Epoch, EpochSeat

from .acting import Network, network_options, open_network
from .keys import AccountKey, read_pair
from .outcomes import Missing, Usage, counted

# A follower's network key and its proof, made to be pasted on an operator's machine. Neither is a secret.
REQUEST = re.compile(rf"guts_node_([0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}})([0-9a-f]{{{2 * SIGNATURE_BYTES}}})")
_FIELDS = ("chain_id", "name", "operator_id", "vote_key", "node_key", "vote_proof", "node_proof")
_SHORT = "guts network show"
_SIGNERS = ("account", "operator_key")


def operator_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--node``, ``--account`` and ``--operator-key``."""
    option = click.option(
        "--operator-key",
        "operator_key",
        envvar="GUTS_OPERATOR_KEY",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Sign with this key file, DIR/keys/operator.key of a node.  [default: the account's key]",
    )
    return network_options(option(function))


@frozen
class Council:
    """A network and the operator who acts on it."""

    network: Network
    key: AccountKey

    @property
    def client(self) -> Client:
        """The node that is asked."""
        return self.network.client

    @property
    def chain_id(self) -> ChainId:
        """What every signature carries."""
        return self.network.chain_id

    def act(self, *actions: Action) -> None:
        """Sign, submit, wait until it is final."""
        self.network.act(self.key, actions)


@contextmanager
def open_council(node: str | None, account: str | None, operator_key: Path | None) -> Iterator[Council]:
    """The network, and the account that signs; NotFound when a key file is of nobody who answers for a seat."""
    file = _meant(account, operator_key)
    with open_network(node) as network:
        key = network.key(account) if file is None else _by_file(network, file)
        yield Council(network, key)


def _meant(account: str | None, file: Path | None) -> Path | None:
    """The key file to sign with, if it is that: what was typed goes before what the environment or a directory says."""
    if account is None or file is None:
        return file
    context = click.get_current_context()
    typed = {name: context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _SIGNERS}
    if all(typed.values()):
        raise Usage("--account names who signs and --operator-key another way to tell: leave one away")
    return None if typed["account"] else file


def _by_file(network: Network, file: Path) -> AccountKey:
    """The account that a key signs for; it may have been added later, so the network is asked."""
    pair = read_pair(file)
    for name in dict.fromkeys(seat.operator for seat in network.client.epoch().seats if seat.operator):
        account = network.client.account(name)
        if pair.public_key in account.keys:
            return AccountKey(account.name, account.id.hex(), pair.seed.hex(), bytes(32).hex())
    raise Missing(f"{file} is the key of no account that answers for a validator", "guts network validators")


def seat_of(epoch: Epoch, name: str) -> EpochSeat:
    """The validator of this name, or number."""
    for seat in epoch.seats:
        if name in (seat.name, str(seat.number)):
            return seat
    raise Missing(f"there is no validator {name}", "guts network validators")


def sentence(decision: Decision) -> str:
    """One line about a decision."""
    approved = len(decision.approve)
    # How many are needed is of the present validators: what was decided by those before them has no such count.
    votes = f"{approved} of {decision.needed} approvals" if decision.state == "open" else counted(approved, "approval")
    if decision.reject:
        votes += f", {len(decision.reject)} against"
    state = f"applied with epoch {decision.epoch}" if decision.state == "applied" else decision.state
    now = ", ends the epoch" if decision.now else ""
    return f"{decision.number}  {decision.says}{now}  ({state}; {votes})"


def next_of(decision: Decision) -> str:
    """What to type after seeing a decision."""
    if decision.state == "open":
        return f"guts network vote {decision.number}"
    return "guts network validators" if decision.state in {"approved", "applied"} else _SHORT


# ---- files and words that travel ----


def candidacy_json(chain_id: ChainId, name: str, operator: AccountId, vote: KeyPair, node: KeyPair) -> str:
    """The entry file of a node that wants a seat in a running network."""
    change = add_validator(chain_id, name, operator, vote, node)
    values = (
        chain_id.hex(),
        name,
        operator.hex(),
        vote.public_key.hex(),
        node.public_key.hex(),
        change.vote_proof.hex(),
        change.node_proof.hex(),
    )
    return json.dumps(dict(zip(_FIELDS, values, strict=True)), indent=2) + "\n"


def candidacy_from_json(text: str, chain_id: ChainId) -> AddValidator:
    """The change that an entry file asks for; Invalid for another file, Usage for another network's."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"entry file: not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict) or set(found) != set(_FIELDS) or not all(type(one) is str for one in found.values()):
        raise Usage(
            "this is no entry for a running network (those of a genesis are others)",
            "guts network entry --dir DIR --operator ACCOUNT, on the node's machine",
        )
    if found["chain_id"] != chain_id.hex():
        raise Usage(f"the entry is for network {found['chain_id'][:12]!r}, this is {chain_id.hex()[:12]}")
    sizes = (PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SIGNATURE_BYTES)
    operator, vote, node, vote_proof, node_proof = (
        _hex(found, field, size) for field, size in zip(_FIELDS[2:], sizes, strict=True)
    )
    candidacy = Candidacy(found["name"], vote, NodeId(node), AccountId(operator))
    return AddValidator(candidacy, vote_proof, node_proof)


def _hex(found: dict[str, str], field: str, size: int) -> bytes:
    text = found[field]
    if not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", text):
        raise Invalid(f"entry file: {field} has {2 * size} hexadecimal digits")
    return bytes.fromhex(text)


def follower_request(chain_id: ChainId, name: str, node: KeyPair) -> str:
    """What the machine of a node that wants to follow shows its operator."""
    action = admit_follower(chain_id, name, node)
    return f"guts_node_{action.following.node_key.hex()}{action.proof.hex()}"


def follower_from_request(request: str, name: str) -> AdmitFollower:
    """The action that a request asks for."""
    found = REQUEST.fullmatch(request)
    if found is None:
        raise Usage(
            "this is no request of a node: it begins with guts_node_", "guts network entry --dir DIR --name NAME"
        )
    return AdmitFollower(Following(name, NodeId(bytes.fromhex(found[1]))), bytes.fromhex(found[2]))


def newest(decisions: Iterable[Decision], proposer: str) -> Decision:
    """The last one that an account proposed."""
    return max((one for one in decisions if one.proposer == proposer), key=lambda decision: decision.number)
