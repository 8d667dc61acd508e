"""The repository as a proof shows it, and the nodes it can be had from; of neither is a node believed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, partial

from attrs import frozen

from guts_cli.addresses import is_listed
from guts_cli.asking import places, token_for, verified_here
from guts_cli.home import Context, Home, user_home
from guts_cli.outcomes import Misconfigured, Missing
from guts_cli.pinned import pinned
from guts_cli.saved_tokens import given_token, kept_token
from guts_cli.target import Target
from guts_core.errors import GutsError, NotFound, Unavailable
from guts_core.forge.records import Pack, Ref, Repository
from guts_core.names import ChainId
from guts_core.proof import Final, ProvenPacks, about_packs, network_of
from guts_core.state.proof import BadProof
from guts_http.client import UnexpectedAnswer, Unreachable, open_client

from .newest import Memory, now, stale
from .words import say

# A large set of refs takes a while to prove; a node that hangs is passed over after this long.
PROOF_SECONDS = 15.0


@frozen
class Mirror:
    """A node, the token to show there, and the network it is known to belong to."""

    url: str
    token: str | None
    network: str | None = None

    @property
    def credentials(self) -> tuple[str, ...]:
        """What the credential helper is told, so that it finds the same token."""
        return () if self.network is None else ("--network", self.network)


@frozen
class Known:
    """What is proven of a repository, by which node, and every node of its network."""

    target: Target
    repository: Repository
    refs: tuple[Ref, ...]
    packs: tuple[Pack, ...]
    final: Final
    mirror: Mirror
    mirrors: tuple[Mirror, ...]
    behind: str | None = None  # what is to be said of an answer that is older than one seen here


def prove(target: Target, network: str | None) -> Known:
    """
    The repository by the first node whose proof is true and no older than the newest seen here; the others that were
    asked are told in a line. Where all are a moment behind, by the one that is so least.

    ``network`` is the id of a network that the local repository remembers. Raises BadProof, NotFound,
    Unreachable or Misconfigured; RolledBack where all are older than what was seen long ago.
    """
    home = user_home()
    mirrors = _mirrors(home, network)
    failed: list[tuple[str, GutsError]] = []
    behind: list[Known] = []
    for mirror in mirrors:
        try:
            known = _proven(home, target, mirror, mirrors, network or mirror.network)
        except (Unavailable, UnexpectedAnswer, BadProof, NotFound) as error:
            failed.append((mirror.url, error))
            continue
        if known.behind is None:
            _tell_passed_over(failed)
            return _told_age(known)
        behind.append(known)
    if not behind:
        raise _worst(failed)
    known = max(behind, key=lambda one: one.final.height)
    say(f"{known.mirror.url}: {known.behind}")
    return _told_age(known)


def _told_age(known: Known) -> Known:
    """An old state may be all that there is, or all that a node shows."""
    if (words := stale(known.final, now())) is not None:
        say(f"{known.mirror.url}: {words}")
    return known


def a_healthy_one(network: str | None) -> Mirror:
    """The first node that is fit to be asked; Unreachable where none is."""
    mirrors = _mirrors(user_home(), network)
    for mirror in mirrors:
        with open_client(mirror.url) as client:
            if client.is_ready():
                return mirror
    raise Unreachable(f"none of {', '.join(mirror.url for mirror in mirrors)} is ready", was_sent=False)


def _mirrors(home: Home, network: str | None) -> tuple[Mirror, ...]:
    saved = cache(partial(_token, home))  # a keyring is asked once, not for each node
    return tuple(
        Mirror(url, saved(_shown_at(home, url, context)), context.chain_id if context else network)
        for url, context in _places(home, network)
    )


def _shown_at(home: Home, url: str, context: Context | None) -> Context | None:
    """The network whose saved token goes there: one that lists the address."""
    return context if context is not None and is_listed(home, context.chain_id, url) else None


def _token(home: Home, context: Context | None) -> str | None:
    """Of the account that GUTS_ACCOUNT names, or of the context's."""
    wanted = os.environ.get("GUTS_ACCOUNT")
    if not wanted or context is None or given_token() is not None:
        return token_for(home, context)
    held = [kept_token(home, context.chain_id, key.id) for key in home.all_keys() if wanted in (key.name, key.id)]
    return next((token for token in held if token is not None), None)


def _places(home: Home, network: str | None) -> list[tuple[str, Context | None]]:
    named = tuple(os.environ.get("GUTS_NODE", "").split())
    bound = next((one for one in home.contexts().contexts.values() if one.chain_id == network), None)
    if not named and bound is not None:
        return [(url, bound) for url in bound.nodes]
    # An address that no network is known by belongs to the one that the repository was bound to.
    found = [(url, context or bound) for url, context in places(named, home)]
    if not found:
        raise Misconfigured("no network is known here", "guts context add URL, or GUTS_NODE=URL before the command")
    return found


def _proven(home: Home, target: Target, mirror: Mirror, mirrors: tuple[Mirror, ...], expected: str | None) -> Known:
    question = about_packs(target.owner, target.name)
    with open_client(mirror.url, mirror.token, seconds=PROOF_SECONDS) as client:
        data = client.proof(question)
    chain = ChainId(bytes.fromhex(expected)) if expected else network_of(data)
    verified = verified_here(data, pinned(home, chain), question)
    answer = verified.answer
    assert isinstance(answer, ProvenPacks), "the verifier answers the question"
    behind = Memory.of(home, verified.final.chain_id.hex(), target).take(verified.final, now())
    return Known(target, answer.repository, answer.refs, answer.packs, verified.final, mirror, mirrors, behind)


def _tell_passed_over(failed: Sequence[tuple[str, GutsError]]) -> None:
    for url, error in failed:
        say(f"{url}: {error}; another node was asked")


def _worst(failed: Sequence[tuple[str, GutsError]]) -> GutsError:
    """A false proof before somebody's word, and that before silence."""
    order = (BadProof, NotFound, Unavailable, GutsError)
    url, error = min(failed, key=lambda one: next(at for at, kind in enumerate(order) if isinstance(one[1], kind)))
    if isinstance(error, NotFound):
        return Missing(f"{url} says: {error} (its word, not a proof)", "guts repo list")
    return error
