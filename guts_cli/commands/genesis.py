"""``guts genesis new | add | seal``."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click
from attrs import evolve

from guts_cli.home import user_home
from guts_cli.keys import new_genesis_account
from guts_cli.network import with_timings
from guts_cli.outcomes import InTheWay, Missing, Said, counted
from guts_cli.private_files import naming
from guts_cli.public_files import write_public
from guts_cli.shape import command
from guts_core.chain.genesis import Draft, EntryFile, check_entry
from guts_core.chain.genesis import seal as seal_draft
from guts_core.chain.genesis_json import (
    DraftFile,
    GenesisFile,
    addresses_of,
    draft_from_json,
    entry_from_json,
    to_json,
)
from guts_core.errors import Invalid
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.names import account_name
from guts_core.simplex.quorum import FaultModel

DRAFT_FILE = "genesis-draft.json"
DRAFT = click.option(
    "--draft",
    default=DRAFT_FILE,
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The genesis in the making.",
)
# Read aloud in groups: people compare four digits at a time.
GROUP_CHARS = 4


@command()
@click.argument("name")
@DRAFT
@click.option("--account", "accounts", multiple=True, help="An account that exists from the start; key in GUTS_HOME.")
@click.option(
    "--fault-model",
    type=click.Choice([model.name.lower() for model in FaultModel]),
    default=FaultModel.BYZANTINE.name.lower(),
    show_default=True,
    help="byzantine: some may lie; crash: one operator's own machines, which only fail.",
)
@click.option("--delta-ms", type=int, help="How long one message may take between two nodes.")
@click.option("--retry-ms", type=int, help="How often to ask again for what did not arrive.")
@click.option("--heartbeat-ms", type=int, help="How long an idle network waits before an empty block.")
def new(name: str, draft: Path, accounts: tuple[str, ...], fault_model: str, **timings: int | None) -> Said:
    """Begin a network called NAME: write a draft that entries are added to.

    One person does this, collects an entry file from each operator, adds them and seals.
    """
    if draft.exists():
        raise InTheWay(f"{draft} exists already", "the same command with --draft FILE")
    keys = [new_genesis_account(account_name(account)) for account in accounts]
    params = with_timings(Params(), timings)
    initial = tuple(key.initial(is_operator=False) for key in keys)
    now = time.time_ns() // 1_000_000
    made = Draft(_network_name(name), now, FaultModel[fault_model.upper()], params, initial)
    paths = [str(user_home().keep_key(key)) for key in keys]
    write_public(draft, to_json(DraftFile(made)))
    text = "\n".join([f"draft of network {name} in {draft}", *(f"  key  {path}" for path in paths)])
    return Said(
        {"draft": str(draft), "name": name, "keys": paths},
        text,
        f"guts genesis add --draft {shlex.quote(str(draft))} ENTRY...",
    )


def _network_name(name: str) -> str:
    try:
        return account_name(name)
    except Invalid as error:
        raise Invalid(str(error).replace("account name", "network name", 1)) from error


@command()
@click.argument("entries", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@DRAFT
def add(entries: tuple[Path, ...], draft: Path) -> Said:
    """Add operators' ENTRIES to the draft; their order is the order of voting.

    Each is checked to be signed by its three keys. Adding the same entry again changes nothing.
    """
    file = _draft(draft)
    added = [_entry(path) for path in entries]
    merged = (*file.entries, *(entry for entry in dict.fromkeys(added) if entry not in file.entries))
    write_public(draft, to_json(evolve(file, entries=merged)))
    names = [entry.entry.name for entry in merged]
    data = {"draft": str(draft), "validators": names}
    words = f"{counted(len(names), 'validator')}: {', '.join(names)}"
    return Said(data, words, f"guts genesis seal --draft {shlex.quote(str(draft))}")


def _draft(path: Path) -> DraftFile:
    if not path.exists():
        raise Missing(f"{path} does not exist", "guts genesis new NAME")
    with naming(path):
        return draft_from_json(path.read_bytes())


def _entry(path: Path) -> EntryFile:
    with naming(path):
        entry = entry_from_json(path.read_bytes())
        check_entry(entry, Ed25519Verifier())
    return entry


@command()
@DRAFT
@click.option(
    "--out",
    default="genesis.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that every node runs with.",
)
def seal(draft: Path, out: Path) -> Said:
    """Fix the draft for ever and print the chain id, for all operators to compare.

    The file holds nothing secret. Whoever has the same chain id has the same network.
    """
    if out.exists():
        raise InTheWay(f"{out} exists already", "the same command with --out FILE")
    file = _draft(draft)
    sealed = GenesisFile(
        seal_draft(file.draft, file.entries, Ed25519Verifier()), addresses_of(file.entries), file.entries
    )
    write_public(out, to_json(sealed))
    chain = sealed.chain_id.hex()
    validators = [validator.name for validator in sealed.genesis.validators]
    data = {"chain_id": chain, "genesis": str(out), "name": sealed.genesis.name, "validators": validators}
    size = counted(len(validators), "validator")
    text = f"network {sealed.genesis.name} of {size} in {out}\n  chain id  {grouped(chain)}"
    return Said(data, text, f"guts node run --dir DIR --genesis {shlex.quote(str(out))}")


def grouped(digits: str) -> str:
    """Hexadecimal digits in groups, to be read aloud."""
    return " ".join(digits[at : at + GROUP_CHARS] for at in range(0, len(digits), GROUP_CHARS))
