"""What the shell may complete, from what is stored here: no node is asked while somebody types."""

from __future__ import annotations

import click

from guts_core.errors import GutsError

from .home import user_home


def complete_repository(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Repositories that commands met on the current network."""
    try:
        home = user_home()
        current = home.current()
        known = home.repositories(current.chain_id) if current else ()
    except (GutsError, OSError):
        return []
    return [name for name in known if name.startswith(incomplete)]


def complete_context(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of contexts."""
    try:
        return [name for name in user_home().contexts().contexts if name.startswith(incomplete)]
    except (GutsError, OSError):
        return []


def complete_account(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of accounts whose keys are here."""
    try:
        return sorted({key.name for key in user_home().all_keys() if key.name.startswith(incomplete)})
    except (GutsError, OSError):
        return []
