"""``guts context list | show | use | add | remove``."""

from __future__ import annotations

import click
from attrs import evolve

from guts_cli.acting import open_network
from guts_cli.completing import complete_account, complete_context
from guts_cli.home import Context, Home, user_home
from guts_cli.outcomes import InTheWay, Missing, Said, Usage, counted
from guts_cli.shape import command
from guts_core.errors import Conflict

NAME_CHARS_MAX = 60
MAKE_ONE = "guts up"


def context_row(home: Home, context: Context) -> dict[str, object]:
    """A context as programs read it; the account by the name of its key here."""
    names = {key.id: key.name for key in home.all_keys()}
    account = context.account
    return {
        "name": context.name,
        "current": context.name == home.contexts().current,
        "chain_id": context.chain_id,
        "nodes": list(context.nodes),
        "account": names.get(account, account) if account else None,
    }


@command(name="list")
def list_() -> Said:
    """List the networks you know; * marks the one that commands talk to."""
    home = user_home()
    rows = [context_row(home, context) for context in home.contexts().contexts.values()]
    lines = [
        f"{'*' if row['current'] else ' '} {row['name']}  {row['account'] or '(no account)'}  {one.nodes[0]}"
        for row, one in zip(rows, home.contexts().contexts.values(), strict=True)
    ]
    words = "\n".join(lines) or f"no network is known in {home.path}"
    return Said({"contexts": rows}, words, "guts context use NAME" if rows else MAKE_ONE)


@command()
@click.argument("name", required=False, shell_complete=complete_context)
def show(name: str | None) -> Said:
    """Show a context: its network, nodes and account; without NAME the current one."""
    home = user_home()
    row = context_row(home, _named(home, name))
    nodes = "\n".join(f"{'nodes' if i == 0 else '':8}  {url}" for i, url in enumerate(row["nodes"]))  # type: ignore[arg-type, var-annotated]  # a list of URLs
    words = f"name      {row['name']}\nnetwork   {row['chain_id']}\n{nodes}\naccount   {row['account'] or 'none'}"
    return Said(row, words, "guts status" if row["current"] else f"guts context use {row['name']}")


@command()
@click.argument("name", shell_complete=complete_context)
@click.option("--account", metavar="NAME", shell_complete=complete_account, help="Act as this account from now on.")
def use(name: str, account: str | None) -> Said:
    """Make NAME the network that commands talk to."""
    home = user_home()
    context = _named(home, name)
    if account is not None:
        with open_network(None, home=home, context=context) as network:
            context = evolve(context, account=network.key(account).id)
    home.remember(context)
    row = context_row(home, context)
    who = f" as {row['account']}" if row["account"] else ""
    return Said(row, f"commands now talk to {name}{who}", "guts status")


@command()
@click.argument("url")
@click.option("--name", metavar="NAME", help="What to call it here.  [default: the network's own name]")
def add(url: str, name: str | None) -> Said:
    """Add the network of the node at URL, and talk to it from now on.

    For a network that is known already, URL becomes another of its nodes. The node says which network
    it belongs to; to check what it says by proofs, pin the genesis file with `guts network trust`.
    """
    home = user_home()
    with open_network(url, home=home) as network:
        chain, base = network.chain_id.hex(), network.client.base
        called = _checked(name or network.client.status().network)
    known = [one for one in home.contexts().contexts.values() if one.chain_id == chain]
    if known:
        context = evolve(known[0], nodes=tuple(dict.fromkeys((*known[0].nodes, base))))
        if name not in (None, context.name):
            raise Conflict(f"this network is known here as {context.name}")
    else:
        _require_free(home, called)
        context = Context(called, chain, (base,))
    home.remember(context)
    following = "guts status" if context.account else f"guts account create NAME --node {base}"
    return Said(context_row(home, context), f"{context.name} has {counted(len(context.nodes), 'node')} here", following)


@command()
@click.argument("name", shell_complete=complete_context)
def remove(name: str) -> Said:
    """Forget the network NAME. Its account keys and tokens stay in GUTS_HOME."""
    home = user_home()
    _named(home, name)
    home.forget(name)
    following = "guts context list"
    return Said({"removed": name}, f"{name} is forgotten; keys and tokens stay in {home.path}", following)


def _named(home: Home, name: str | None) -> Context:
    if name is None:
        current = home.current()
        if current is None:
            raise Missing("no network is chosen here", "guts context list")
        return current
    found = home.contexts().contexts.get(name)
    if found is None:
        raise Missing(f"no context is called {name[:NAME_CHARS_MAX]!r}", "guts context list")
    return found


def _checked(name: str) -> str:
    if not name.isprintable() or not 0 < len(name) <= NAME_CHARS_MAX:
        raise Usage(f"a context's name has 1 to {NAME_CHARS_MAX} printable characters")
    return name


def _require_free(home: Home, name: str) -> None:
    if name in home.contexts().contexts:
        raise InTheWay(f"another network is known here as {name}", "the same command with --name NAME")
