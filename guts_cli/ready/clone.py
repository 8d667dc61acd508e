"""How ``guts clone`` has git use the helper, where that can be: origin stays the node's own URL, for plain git."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from attrs import field, frozen

from guts_cli.home import user_home
from guts_cli.outcomes import Misconfigured
from guts_cli.pinned import pinned
from guts_cli.remote import Remote
from guts_core.names import ChainId

from .local import NETWORK

PROGRAM = "git-remote-guts"


@frozen
class Way:
    """Settings and environment for one run of git; ``why_not`` where that is git's own protocol."""

    settings: tuple[str, ...] = ()
    environment: dict[str, str] = field(factory=dict)
    why_not: str | None = None


def ready_made(remote: Remote, *, node: str | None, account: str | None) -> Way:
    """By the helper; as ever where it is not installed, or nobody pinned the network whose proofs it would check."""
    home = user_home()
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=str(Path(sys.executable).parent))
    try:
        pinned(home, ChainId(bytes.fromhex(remote.network)))
    except Misconfigured as error:
        return Way(why_not=f"{error} ({error.next_step})")
    if found is None:
        return Way(why_not=f"{PROGRAM} is not beside guts, and not on PATH")
    contexts = [one for one in home.contexts().contexts.values() if one.chain_id == remote.network]
    others = [url for one in contexts for url in one.nodes] if node is None else []
    environment = {
        "GUTS_NODE": " ".join(dict.fromkeys((remote.base, *others))),
        "PATH": os.pathsep.join((str(Path(found).parent), os.environ.get("PATH", os.defpath))),
        **({} if account is None else {"GUTS_ACCOUNT": account}),
    }
    instead = f"url.guts://{remote.target.full_name}.insteadOf={remote.url}"
    # The node may be called by a name that nobody has noted: what it shows is held against this network all the same.
    return Way((instead, f"{NETWORK}={remote.network}"), environment)
