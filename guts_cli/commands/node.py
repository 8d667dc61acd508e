"""``guts node init | run | config``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from guts_cli.config import (
    DEFAULT,
    HTTP_PORT_DEFAULT,
    P2P_PORT_DEFAULT,
    SETTINGS,
    Address,
    Config,
    Given,
    Loaded,
    set_flag,
)
from guts_cli.config.kinds import toml_of
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import Missing, Said
from guts_cli.public_files import write_public
from guts_cli.shape import command
from guts_core.chain.genesis_json import check_address, to_json
from guts_core.names import account_name

DIRECTORY = click.option(
    "--dir", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="The node's directory."
)
SET = click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Set anything; may be repeated.")
# Flags with a name of their own; the values of files are resolved where the command was typed.
_FLAGS = {
    "--http": "http.listen",
    "--p2p": "p2p.listen",
    "--public-url": "http.public_url",
    "--tls-cert": "http.tls_cert",
    "--tls-key": "http.tls_key",
    "--log-level": "node.log_level",
}


@command()
@DIRECTORY
@click.option("--name", required=True, help="The validator's name in the network, such as your own.")
@click.option("--operator", help="Name of the account that answers for the node.  [default: the node's name]")
@click.option("--http", default=f"127.0.0.1:{HTTP_PORT_DEFAULT}", show_default=True, help="Serve git and API here.")
@click.option("--p2p", default=f"127.0.0.1:{P2P_PORT_DEFAULT}", show_default=True, help="Hear other validators here.")
@click.option("--address", help="host:port at which the others reach you.  [default: that of --p2p]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the entry file.")
def init(
    *, directory: Path, name: str, operator: str | None, http: str, p2p: str, address: str | None, out: Path | None
) -> Said:
    """Make a node's keys and settings, and the entry file to hand over.

    Three keys are made in DIR/keys, readable by you alone: one speaks to other nodes, one votes, one is
    the operator's account. The entry holds their public halves and is signed by all three; whoever makes
    the genesis adds it with `guts genesis add`. DIR/config.toml shows every setting with its reason.
    """
    advertised = address or p2p
    check_address(advertised)
    listen = {"http.listen": str(Address.parse(http)), "p2p.listen": str(Address.parse(p2p))}
    config = Config.of({"node.name": account_name(name), **listen})
    entry = NodeDirectory(directory).create(config, account_name(operator or name), advertised)
    path = out or directory / f"{name}.entry.json"
    write_public(path, to_json(entry))
    keys = {"node": entry.entry.node_key.hex(), "vote": entry.entry.vote_key.hex()}
    keys["operator"] = entry.entry.operator.key.hex()
    data = {"name": name, "dir": str(directory), "entry": str(path), "address": advertised, "keys": keys}
    text = f"node {name} is ready in {directory}\n  entry  {path}  (hand this over)\n  keys   {directory / 'keys'}"
    return Said(data, text + "  (keep these)", f"guts genesis add {shlex.quote(str(path))}")


@command()
@DIRECTORY
@click.option("--genesis", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The network's file.")
@click.option("--http", metavar="HOST:PORT", help="Serve git, API and pages here.")
@click.option("--p2p", metavar="HOST:PORT", help="Hear other validators here.")
@click.option("--public-url", metavar="URL", help="Where links and clone URLs lead.")
@click.option("--tls-cert", type=click.Path(dir_okay=False, resolve_path=True), help="Serve HTTPS with this chain.")
@click.option("--tls-key", type=click.Path(dir_okay=False, resolve_path=True), help="The key of --tls-cert.")
@click.option("--trusted-proxy", multiple=True, metavar="ADDRESS", help="Believe its X-Forwarded-*; may be repeated.")
@click.option("--insecure-http", is_flag=True, help="Serve a public address without TLS.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
@SET
def run(
    *,
    directory: Path,
    genesis: Path | None,
    trusted_proxy: tuple[str, ...],
    insecure_http: bool,
    sets: tuple[str, ...],
    **named: str | None,
) -> int:
    """Run a node until it is told to stop (Ctrl-C or SIGTERM).

    The genesis file is kept in DIR, so that later starts need no --genesis. Settings stand in
    DIR/config.toml; environment variables (GUTS_HTTP_LISTEN and so on) override them, and flags override
    both. The log goes to DIR/logs/node.log.
    """
    from guts_cli.serve import run_in_foreground  # noqa: PLC0415 -- trio and the servers take a second to load

    flags = [*map(set_flag, sets), *_named(named)]
    if trusted_proxy:
        flags.append(Given("http.trusted_proxies", trusted_proxy, "flag --trusted-proxy", is_text=False))
    if insecure_http:
        flags.append(Given("http.insecure", True, "flag --insecure-http", is_text=False))
    return run_in_foreground(NodeDirectory(directory), genesis, flags)


def _named(given: Mapping[str, str | None]) -> Iterator[Given]:
    for flag, key in _FLAGS.items():
        text = given[flag.removeprefix("--").replace("-", "_")]
        if text is not None:
            yield Given(key, text, f"flag {flag}")


@command()
@DIRECTORY
@click.option("--show", is_flag=True, help="Every setting, not only those that are not the default.")
@SET
def config(*, directory: Path, show: bool, sets: tuple[str, ...]) -> Said:
    """Check a node's settings and show them, each with where it comes from.

    Without --show, only those that somebody set. What is wrong is named with file and line.
    """
    if not directory.is_dir():
        raise Missing(f"{directory} is no directory", f"guts node init --dir {shlex.quote(str(directory))} --name NAME")
    node = NodeDirectory(directory)
    loaded = node.settings([set_flag(text) for text in sets])
    keys = [key for key in SETTINGS if show or loaded.origin(key) != DEFAULT]
    data = {"dir": str(directory), "file": str(node.config_file), "settings": [_row(loaded, key) for key in keys]}
    width = max((len(_assignment(loaded, key)) for key in keys), default=0)
    lines = [f"{_assignment(loaded, key).ljust(width)}  {loaded.origin(key)}" for key in keys]
    following = None if show else f"guts node config --dir {shlex.quote(str(directory))} --show"
    return Said(data, "\n".join(lines) or "every setting is the default", following)


def _assignment(loaded: Loaded, key: str) -> str:
    return f"{key} = {toml_of(loaded.config.get(key))}"


def _row(loaded: Loaded, key: str) -> dict[str, Any]:
    one = SETTINGS[key]
    return {
        "key": key,
        "value": loaded.config.get(key),
        "origin": loaded.origin(key),
        "default": one.default,
        "allowed": one.kind.words,
        "reason": one.reason,
        "variable": one.variable,
    }
