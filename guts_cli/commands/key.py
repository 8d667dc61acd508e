"""``guts key show | new | add | remove | rotate``."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
from attrs import evolve

from guts_cli.acting import Network, network_options, open_network
from guts_cli.home import Context, Home, user_home
from guts_cli.keys import OPERATOR_KEY, AccountKey, new_pair, read_pair, write_account_key
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import Said, Usage, counted
from guts_cli.rotation import rotate as rotate_key
from guts_cli.shape import command
from guts_core.chain.compose import add_key
from guts_core.errors import Conflict, NotFound
from guts_core.forge.actions import AddKey, RemoveKey
from guts_core.identity import PUBLIC_KEY_BYTES, SIGNATURE_BYTES

# A public key and its holder's proof, made to be pasted on another machine. Neither is a secret.
REQUEST = re.compile(rf"guts_key_([0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}})([0-9a-f]{{{2 * SIGNATURE_BYTES}}})")
PUBLIC_KEY = re.compile(rf"[0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}}")


@command()
@click.option(
    "--dir", "directory", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Show a node's keys."
)
def show(directory: Path | None) -> Said:
    """Show public keys: of your accounts, or with --dir of a node. Secrets are never printed."""
    return _node_keys(directory) if directory else _account_keys(user_home())


def _node_keys(directory: Path) -> Said:
    node = NodeDirectory(directory)
    # A node whose vote key was replaced may have it no more: it shows those that it has.
    votes = {path.stem: read_pair(path) for path in node.vote_key_files()}
    pairs = {"node": node.node_key(), **votes}
    if (node.keys / OPERATOR_KEY).exists():  # it may be kept elsewhere, and who joined answers by an account
        pairs["operator"] = node.operator_key()
    public: dict[str, object] = {role: pair.public_key.hex() for role, pair in pairs.items()}
    lines = [f"{role:8}  {key}" for role, key in public.items()]
    return Said(
        {"dir": str(directory), **public}, "\n".join(lines), f"guts node run --dir {shlex.quote(str(directory))}"
    )


def _account_keys(home: Home) -> Said:
    current = home.current()
    mine = current.account if current else None
    rows = [_row(key, "active", is_current=key.id == mine) for key in home.all_keys()]
    rows += [_row(key, "retired", is_current=False) for key in home.retired_keys()]
    lines = [_line(row) for row in rows]
    words = "\n".join(lines) or f"no account keys in {home.path}"
    return Said({"home": str(home.path), "keys": rows}, words, "guts status" if rows else "guts up")


def _row(key: AccountKey, state: str, *, is_current: bool) -> dict[str, object]:
    public = key.pair.public_key.hex()
    return {"account": key.name, "id": key.id, "public_key": public, "state": state, "current": is_current}


def _line(row: dict[str, object]) -> str:
    state = "" if row["state"] == "active" else f"  ({row['state']})"
    # On lines of their own: two ids do not fit beside each other on a terminal.
    return (
        f"{'*' if row['current'] else ' '} {row['account']}{state}\n    id   {row['id']}\n    key  {row['public_key']}"
    )


@command()
@click.argument("account_name")
@click.option("--node", envvar="GUTS_NODE", metavar="URL", help="Talk to this node.  [default: one of the context's]")
def new(account_name: str, node: str | None) -> Said:
    """Make a key here for ACCOUNT_NAME, an account whose key is on another machine.

    It signs for the account once `guts key add` was typed over there, with the request printed here.
    """
    with open_network(node) as network:
        account = network.client.account(account_name)
        if any(key.id == account.id.hex() for key in network.home.all_keys()):
            raise Conflict(f"a key of {account.name} is here already")
        pair = new_pair()
        key = AccountKey(account.name, account.id.hex(), pair.seed.hex(), bytes(32).hex())
        request = _request(add_key(network.chain_id, key.account, pair))
        network.home.keep_key(key)
        _remember(network, key)
    data = {"account": key.name, "id": key.id, "public_key": pair.public_key.hex(), "request": request}
    text = f"a key for {key.name} is here; type on a machine that has one already:\n\n  guts key add {request}"
    return Said(data, text, f"guts token create --account {key.name} --scope repo --save")


def _remember(network: Network, key: AccountKey) -> None:
    """A home that did not know the network, or nobody on it, acts as this account from now on."""
    chain = network.chain_id.hex()
    if network.context is None:
        name = network.client.status().network
        free = name not in network.home.contexts().contexts
        network.home.remember(Context(name if free else chain[:8], chain, (network.client.base,), key.id))
    elif network.context.account is None:
        network.home.remember(evolve(network.context, account=key.id))


def _request(action: AddKey) -> str:
    return f"guts_key_{action.key.hex()}{action.proof.hex()}"


@command()
@click.argument("request")
@network_options
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="With `new`: where the key goes.")
def add(*, request: str, node: str | None, account: str | None, out: Path | None) -> Said:
    """Let one more key sign for your account.

    REQUEST is what `guts key new` printed on another machine; or the word `new`, which makes a spare
    key and writes it to --out FILE, to be kept somewhere safe.
    """
    with open_network(node) as network:
        key = network.key(account)
        action, spare = _wanted(network, key, request, out)
        if spare is not None and out is not None:
            write_account_key(out, spare)
        network.act(key, (action,))
        keys = network.keys_on_chain(key)
    data = {"account": key.name, "public_key": action.key.hex(), "keys": [one.hex() for one in keys]}
    where = f"\n  it is in {out}; in GUTS_HOME/keys of another machine it works there" if out else ""
    return Said(data, f"{key.name} has {len(keys)} keys{where}", "guts key show")


def _wanted(network: Network, key: AccountKey, request: str, out: Path | None) -> tuple[AddKey, AccountKey | None]:
    """The action, and the key that was made for it here."""
    if request == "new":
        if out is None:
            raise Usage("where shall the spare key go?", "guts key add new --out FILE")
        if out.exists():
            raise Conflict(f"{out} is there already, and may be a key")
        pair = new_pair()
        return add_key(network.chain_id, key.account, pair), evolve(key, seed=pair.seed.hex())
    found = REQUEST.fullmatch(request)
    if found is None:
        raise Usage("this is no request for a key: it begins with guts_key_", "guts key new ACCOUNT --node URL")
    return AddKey(bytes.fromhex(found[1]), bytes.fromhex(found[2])), None


@command()
@click.argument("public_key")
@network_options
def remove(*, public_key: str, node: str | None, account: str | None) -> Said:
    """Let the key PUBLIC_KEY (64 hexadecimal digits) sign no more for your account.

    For a key that was lost or is no longer wanted; the last one cannot be removed. The same key can
    never be added again, to any account.
    """
    if not PUBLIC_KEY.fullmatch(public_key):
        raise Usage("a public key has 64 hexadecimal digits", "guts key show")
    with open_network(node) as network:
        key = network.key(account)
        if public_key == key.pair.public_key.hex():
            raise Usage("this is the key that would sign: replace it instead", "guts key rotate")
        network.act(key, (RemoveKey(bytes.fromhex(public_key)),))
        keys = network.keys_on_chain(key)
    data = {"account": key.name, "removed": public_key, "keys": [one.hex() for one in keys]}
    return Said(data, f"{key.name} has {counted(len(keys), 'key')}", "guts key show")


@command()
@network_options
def rotate(*, node: str | None, account: str | None) -> Said:
    """Replace the key of your account with a new one, made here.

    The new key is stored before anything is sent, and the old one is kept until the change is final,
    then marked as retired: interrupted at any moment, the next command finds the key that works.
    Tokens stay valid.
    """
    with open_network(node) as network:
        old = network.key(account)
        if old.pair.public_key not in network.keys_on_chain(old):
            raise NotFound(f"the key kept here is none of {old.name}'s on this network")
        changed = rotate_key(
            network.home,
            network.chain_id,
            old,
            lambda actions: network.act(old, actions),
            lambda: network.keys_on_chain(old),
        )
    data = {"account": old.name, "old": old.pair.public_key.hex(), "new": changed.pair.public_key.hex()}
    return Said(data, f"{old.name} signs with a new key\n  old {data['old']}\n  new {data['new']}", "guts key show")
