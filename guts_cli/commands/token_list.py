"""``guts token list | revoke``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from guts_cli.acting import Network, network_options, open_network, saved_token, signed_in
from guts_cli.keys import AccountKey
from guts_cli.outcomes import Missing, Said, Usage
from guts_cli.shape import command
from guts_core.errors import Conflict
from guts_core.forge.actions import RevokeCredential
from guts_core.names import CredentialId
from guts_http.client import Token, as_json

# A person types the beginning; this much of 64 digits is no accident.
PREFIX_CHARS_MIN = 6
ID_BYTES = 32
SHOWN_CHARS = 12


@command(name="list")
@network_options
@click.option("--all", "everything", is_flag=True, help="Expired and revoked ones, too.")
def list_(*, node: str | None, account: str | None, everything: bool) -> Said:
    """List your tokens: what each is for, where it may be handed, when it ends. * is the one in use here.

    Uses GUTS_TOKEN, or the token that `guts token create --save` kept. The token itself is shown nowhere.
    """
    with open_network(node) as network:
        key = network.key(account)
        found = _tokens(network, key)
    shown = [one for one in found if one.active or everything]
    lines = [_line(one) for one in shown]
    data = {"account": key.name, "tokens": as_json(shown)}
    return Said(data, "\n".join(lines) or "no tokens", "guts token revoke ID")


def _line(token: Token) -> str:
    state = "" if token.active else ("  revoked" if token.revoked else "  expired")
    gateways = ", ".join(sorted(token.gateways)) or "no node"
    return (
        f"{'*' if token.current else ' '} {token.id.hex()[:SHOWN_CHARS]}  {', '.join(token.scopes):18}  "
        f"until {token.expires:%Y-%m-%d}  {gateways}{state}  {token.note}"
    ).rstrip()


def _tokens(network: Network, key: AccountKey) -> list[Token]:
    with signed_in(network, saved_token(network, key)) as client:
        return list(client.tokens())


@command()
@click.argument("token_id", metavar="ID", required=False)
@network_options
@click.option("--note", help="The token with this note, instead of an ID.")
def revoke(*, token_id: str | None, node: str | None, account: str | None, note: str | None) -> Said:
    """End the token ID (as `guts token list` shows it, or its beginning) on every node, at once and for ever.

    Signed here with your account key, so a whole ID needs no token. A token that was lost is ended so.
    """
    if (token_id is None) == (note is None):
        raise Usage("which token? an ID, or --note TEXT", "guts token list")
    with open_network(node) as network:
        key = network.key(account)
        wanted = _wanted(network, key, token_id, note)
        network.act(key, (RevokeCredential(wanted),))
    data = {"account": key.name, "revoked": wanted.hex()}
    return Said(data, f"token {wanted.hex()[:SHOWN_CHARS]} of {key.name} is revoked", "guts token list")


def _wanted(network: Network, key: AccountKey, token_id: str | None, note: str | None) -> CredentialId:
    if token_id is not None:
        try:
            wanted = bytes.fromhex(token_id)
        except ValueError:
            wanted = b""
        if len(wanted) == ID_BYTES:
            return CredentialId(wanted)
        if len(token_id) < PREFIX_CHARS_MIN:
            raise Usage(f"the beginning of an ID has at least {PREFIX_CHARS_MIN} digits", "guts token list")
    standing = [one for one in _tokens(network, key) if not one.revoked]
    return _one([one for one in standing if _is_meant(one, token_id, note)], key)


def _is_meant(token: Token, token_id: str | None, note: str | None) -> bool:
    return token.note == note if token_id is None else token.id.hex().startswith(token_id.lower())


def _one(found: Sequence[Token], key: AccountKey) -> CredentialId:
    if not found:
        raise Missing(f"{key.name} has no such token", "guts token list --all")
    if len(found) > 1:
        raise Conflict(f"{len(found)} tokens are meant: say which by ID")
    return found[0].id
