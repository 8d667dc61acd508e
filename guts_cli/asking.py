"""Whom to ask for a proof, and holding what comes back against what was true here before."""

from __future__ import annotations

from guts_core.chain.genesis import Genesis, chain_id
from guts_core.errors import remade
from guts_core.proof import Question, Verified, verify
from guts_core.state.proof import BadProof

from .home import Context, Home, user_home
from .pinned import newest_epoch, remember_epoch
from .saved_tokens import given_token, kept_token


def places(named: tuple[str, ...], home: Home) -> list[tuple[str, Context | None]]:
    """The nodes to ask, each with the network that it is known to belong to."""
    if named:
        return [(url, _context_of(home, url)) for url in dict.fromkeys(one.rstrip("/") for one in named)]
    current = home.current()
    return [(url, current) for url in current.nodes] if current else []


def _context_of(home: Home, url: str) -> Context | None:
    return next((context for context in home.contexts().contexts.values() if url in context.nodes), None)


def token_for(home: Home, context: Context | None) -> str | None:
    """For what is private. A saved token goes to nodes of its own network only."""
    if (given := given_token()) is not None or context is None or context.account is None:
        return given
    return kept_token(home, context.chain_id, context.account)


def verified_here(data: bytes, genesis: Genesis, question: Question | None) -> Verified:
    """Also held against what was true here before."""
    home, chain = user_home(), chain_id(genesis)
    try:
        verified = verify(data, genesis, question, newest_epoch(home, chain))
    except BadProof as error:
        raise remade(type(error), f"the proof is false: {error}") from error
    remember_epoch(home, chain, verified.final.checkpoint)
    return verified
