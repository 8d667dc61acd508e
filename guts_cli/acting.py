"""
Acting on a network: which node, as whom, and signing locally with an account key.

No node is handed an account key, ever: transactions are signed here and a node passes them on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any

import click
from attrs import frozen

from guts_core.chain.compose import LIFETIME_MS, by_account, create_credential, register, sign_with_account_key
from guts_core.chain.transaction import SignedTransaction, Text, transaction_id
from guts_core.errors import Refused, Unauthenticated, Unavailable
from guts_core.forge.actions import Action
from guts_core.forge.ids import account_id
from guts_core.forge.records import Scope
from guts_core.identity import token_of
from guts_core.names import ChainId, NodeId
from guts_http.client import Account, Client, Status, Transaction, UnexpectedAnswer, Unreachable, open_client

from .addresses import is_listed
from .completing import complete_account
from .home import Context, Home, user_home
from .keys import AccountKey, new_pair, operator_account, read_pair
from .outcomes import Misconfigured, Missing, Usage, printable
from .progress import working
from .rotation import settled
from .saved_tokens import forget_refused, given_token, kept_token

SALT_BYTES = 32
WAITING = "waiting until it is final"
# A node that is well answers in milliseconds; one that hangs must not hold up those that do not.
PROBE_SECONDS = 3.0


def network_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--node`` and ``--account``."""
    account = click.option(
        "--account",
        envvar="GUTS_ACCOUNT",
        metavar="NAME",
        shell_complete=complete_account,
        help="Act as this account.  [default: the context's]",
    )
    node = click.option(
        "--node", envvar="GUTS_NODE", metavar="URL", help="Talk to this node.  [default: one of the context's]"
    )
    return account(node(function))


@frozen
class Network:
    """A network at the other end of a client: its id and what its block clock says."""

    home: Home
    client: Client
    chain_id: ChainId
    time: int  # what the node would propose now, ms
    context: Context | None

    def key(self, name: str | None) -> AccountKey:
        """The key of an account of this network: the named one, or the context's."""
        if name is None:
            if self.context is None or self.context.account is None:
                raise self._no_account()
            return self._settled(self.home.key_by_id(self.context.account))
        return self._settled(_registered(self.home.keys_by_name(name), self.client.account(name), name))

    def _no_account(self) -> Usage:
        make = f"guts account create NAME --node {self.client.base}, or guts key new NAME for one of another machine"
        if self.home.all_keys():
            return Usage("which account?", f"the same command with --account NAME; for a new one {make}")
        return Usage(f"no account of this network is known in {self.home.path}", make)

    def _settled(self, key: AccountKey) -> AccountKey:
        return settled(self.home, key, lambda: self.keys_on_chain(key))

    def keys_on_chain(self, key: AccountKey) -> tuple[bytes, ...]:
        """The public keys that may sign for the account now."""
        return self.client.account(key.name).keys

    def expires(self) -> int:
        """When a transaction made now can no longer happen."""
        return self.time + LIFETIME_MS

    def act(self, key: AccountKey, actions: Sequence[Action], texts: Sequence[Text] = ()) -> Transaction:
        """Sign with an account key, submit with the texts that ride beside, wait until it is final."""
        body = by_account(self.chain_id, key.account, actions, self.expires(), token_bytes(SALT_BYTES))
        return self._submit(sign_with_account_key(body, key.pair), texts)

    def _submit(self, signed: SignedTransaction, texts: Sequence[Text] = ()) -> Transaction:
        try:
            with working(WAITING):
                return self.client.submit(signed, texts)
        except KeyboardInterrupt:
            tx_id = transaction_id(signed.body).hex()
            click.echo(
                f"guts: nobody waits any more, but it may still happen\nnext: guts verify --tx {tx_id}", err=True
            )
            raise

    def register(self, name: str, sponsor: AccountKey) -> AccountKey:
        """
        A new account, its key stored here before anybody hears of it.

        A refused registration takes its key with it; one whose end is unknown may have happened.
        """
        pair, salt = new_pair(), token_bytes(SALT_BYTES)
        key = AccountKey(name, account_id(self.chain_id, pair.public_key, salt).hex(), pair.seed.hex(), salt.hex())
        kept = self.home.keep_key(key)
        signed = register(self.chain_id, name, pair, sponsor.account, sponsor.pair, self.expires(), salt)
        try:
            self._submit(signed)
        except Refused:
            kept.unlink()
            raise
        return key

    def create_token(self, key: AccountKey, wish: TokenWish) -> str:
        """A credential for the account; its seed is made here and is the token."""
        seed = new_pair()
        expires = self.time + wish.lifetime_ms
        action = create_credential(self.chain_id, key.account, seed, wish.scopes, expires, wish.gateways, wish.note)
        self.act(key, (action,))
        return token_of(seed.seed)


@frozen
class TokenWish:
    """What a token shall be good for; no gateways means that it only signs locally."""

    scopes: tuple[Scope, ...]
    lifetime_ms: int
    gateways: tuple[NodeId, ...]
    note: str = ""


@contextmanager
def open_network(
    node: str | None,
    *,
    home: Home | None = None,
    token: str | None = None,
    near: str | None = None,
    context: Context | None = None,
) -> Iterator[Network]:
    """
    The network to act on, through the named node or the first of the context's that answers.

    ``near`` is a node that something remembered, such as a clone: asked first, before the others of its context.
    ``context`` stands for the current one.
    """
    home = user_home() if home is None else home
    context, urls = (context, context.nodes) if context else _candidates(home, node, near)
    if not urls:
        raise Misconfigured("no network is known here", "guts up, or the same command with --node URL")
    url, status = _first_answer(urls)
    known = _context_of(home, context, status.chain_id.hex(), named=context is None)
    with open_client(url, token) as client:
        yield Network(home, client, status.chain_id, status.time_ms, known)


def _candidates(home: Home, node: str | None, near: str | None) -> tuple[Context | None, tuple[str, ...]]:
    """The context whose nodes are asked, None where an address was given that belongs to none; and the addresses."""
    if node is not None:
        return None, (node.rstrip("/"),)
    current = home.current()
    if near is None:
        return current, current.nodes if current else ()
    others = [known for known in (current, *home.contexts().contexts.values()) if known and near in known.nodes]
    if not others:
        return None, (near,)
    return others[0], (near, *(url for url in others[0].nodes if url != near))


def _first_answer(urls: Sequence[str]) -> tuple[str, Status]:
    """The first node that answers and has not stopped. One that was passed over is told, in a line."""
    problems: list[tuple[str, str]] = []
    stopped: list[tuple[str, Status]] = []
    for url in urls:
        try:
            with open_client(url, seconds=PROBE_SECONDS) as client:
                status = client.status()
        except (Unavailable, UnexpectedAnswer) as error:
            problems.append((url, str(error)))
            continue
        if status.halted is None:
            _tell_passed_over([passed for passed, _ in (*problems, *stopped)], url)
            return url, status
        stopped.append((url, status))
    if stopped:
        return stopped[0]
    raise Unreachable(in_one_sentence(problems))


def in_one_sentence(problems: Sequence[tuple[str, str]]) -> str:
    """Why each of these nodes gave nothing; where it is the same with all, said once."""
    same = {words.replace(url, "{}") for url, words in problems}
    if len(same) == 1:
        return same.pop().replace("{}", ", ".join(url for url, _ in problems))
    return "; ".join(words for _, words in problems)


def _tell_passed_over(urls: Sequence[str], chosen: str) -> None:
    if urls:
        are = "does not answer" if len(urls) == 1 else "do not answer"
        click.echo(f"guts: {printable(', '.join(urls))} {are}; using {printable(chosen)}", err=True)


def _context_of(home: Home, current: Context | None, chain_id: str, *, named: bool) -> Context | None:
    """The context of the network that answered. The remembered addresses must lead to the remembered network."""
    if current is not None and current.chain_id == chain_id:
        return current
    if current is not None and not named:
        words = f"the nodes of context {current.name} now belong to another network ({chain_id[:12]})"
        raise Misconfigured(words, f"guts context remove {current.name}, then guts context add URL")
    return next((known for known in home.contexts().contexts.values() if known.chain_id == chain_id), None)


def _registered(keys: list[AccountKey], account: Account, name: str) -> AccountKey:
    for key in keys:
        if key.id == account.id.hex():
            return key
    raise Missing(f"no key of account {name} of this network is kept here", "guts key show")


def sponsor_key(network: Network, name: str | None, file: Path | None) -> AccountKey:
    """Who vouches for a new account: an account of this home, or a node's operator by its key file."""
    if file is not None:
        return operator_account(file.stem, read_pair(file))
    return network.key(name)


class Withheld(Misconfigured):
    """An address that no context of its network lists is shown no saved token, whatever the node there claims to be."""

    def __init__(self, url: str) -> None:
        words = f"no context of this network lists {url}: the saved token is not shown there"
        super().__init__(words, f"where you trust it: guts context add {url}")


def saved_token(network: Network, key: AccountKey) -> str:
    """The token to show a node: the environment's, or the saved one."""
    token = _token_of(network, key.id)
    if token is None:
        raise Misconfigured(f"no token of {key.name} is saved here", "guts token create --scope read --save")
    return token


def known_token(network: Network, account: str | None) -> str | None:
    """The same where one is not needed: what is public is shown to everybody."""
    held = network.context.account if network.context else None
    if account is not None:
        held = network.key(account).id
    try:
        return _token_of(network, held)
    except Withheld as error:
        click.echo(f"guts: {printable(str(error))}\nnext: {printable(str(error.next_step))}", err=True)
        return None


@contextmanager
def signed_in(network: Network, token: str | None) -> Iterator[Client]:
    """A client that shows the node this token. Where the node refuses it, the keyring holds it no longer."""
    try:
        with open_client(network.client.base, token) as client:
            yield client
    except Unauthenticated:
        if token is not None:
            for key in network.home.all_keys():
                forget_refused(network.chain_id.hex(), key.id, token)
        raise


def _token_of(network: Network, account_id: str | None) -> str | None:
    if (given := given_token()) is not None or account_id is None:
        return given
    found = kept_token(network.home, network.chain_id.hex(), account_id)
    if found is not None and not is_listed(network.home, network.chain_id.hex(), network.client.base):
        raise Withheld(network.client.base)
    return found
