"""
Replacing an account's key so that no moment is without a key that works.

1. The new key is stored beside the old one, as ``.next``, before anybody hears of it.
2. One transaction, signed by the old key, adds the new one and removes the old one.
3. When it is final, the old key is stored again as ``.retired-...``,
4. the new key takes the old one's place, whole or not at all,
5. and the file beside it goes.

Whoever is interrupted has both keys on disk, and the network knows which one counts: ``settled``
asks it, and finishes what was begun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import evolve

from guts_core.chain.compose import rotate_key
from guts_core.errors import Refused
from guts_core.forge.actions import Action
from guts_core.names import ChainId

from .home import Home
from .keys import AccountKey, new_pair

Act = Callable[[Sequence[Action]], object]
KeysOnChain = Callable[[], Collection[bytes]]


def settled(home: Home, key: AccountKey, on_chain: KeysOnChain) -> AccountKey:
    """The key that counts: the one on file, or that of a rotation which happened and was not finished here."""
    following = home.next_key(key)
    if following is None:
        return key
    if following == key:
        home.forget_next_key(key)
        return key
    listed = on_chain()
    if following.pair.public_key in listed and key.pair.public_key not in listed:
        return adopt(home, key, following)
    return key


def rotate(home: Home, chain_id: ChainId, key: AccountKey, act: Act, on_chain: KeysOnChain) -> AccountKey:
    """Replace the account's key; the new one. A write whose end is unknown leaves both keys in place."""
    following = prepare(home, key)
    actions = rotate_key(chain_id, key.account, key.pair.public_key, following.pair)
    try:
        act(actions)
    except Refused:
        # An earlier attempt with the same key may have become final just now.
        if (now := settled(home, key, on_chain)) == following:
            return now
        home.forget_next_key(key)
        raise
    return adopt(home, key, following)


def prepare(home: Home, key: AccountKey) -> AccountKey:
    """Step 1. An attempt whose end is unknown is repeated with the same key."""
    following = home.next_key(key) or evolve(key, seed=new_pair().seed.hex())
    home.keep_next_key(following)
    return following


def adopt(home: Home, key: AccountKey, following: AccountKey) -> AccountKey:
    """Steps 3 to 5."""
    home.retire_key(key)
    home.keep_key(following)
    home.forget_next_key(following)
    return following
