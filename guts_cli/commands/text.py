"""``guts text list | erase``: what was written beside a repository's history, and taking it back for ever."""

from __future__ import annotations

from itertools import islice

import click

from guts_cli.acting import network_options
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Missing, Said, Usage
from guts_cli.ownership import Sight, open_sight
from guts_cli.shape import command
from guts_core.forge.actions import Erase
from guts_http.client import TextEntry, as_json

COMMITMENT_DIGITS = 64
LEAST_DIGITS = 6


@command(name="list")
@click.argument("repository", shell_complete=complete_repository)
@network_options
@click.option(
    "-n", "--limit", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many."
)
def list_(*, repository: str, node: str | None, account: str | None, limit: int) -> Said:
    """List the texts of REPOSITORY (OWNER/NAME): every description that was ever set, erased ones included.

    A text is named by its commitment, which stays on the chain for ever; its words can be erased.
    """
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        texts = list(islice(sight.client.texts(found.full_name), limit))
    data = {"repository": found.full_name, "texts": as_json(texts)}
    lines = [_line(text) for text in texts] or [f"{found.full_name} has no texts"]
    present = next((text for text in texts if text.state == "present"), None)
    following = f"guts repo view {found.full_name}"
    if present is not None:
        following = f"guts text erase {found.full_name} {present.commitment.hex()[:12]}"
    return Said(data, "\n".join(lines), following)


@command()
@click.argument("repository", shell_complete=complete_repository)
@click.argument("commitment", required=False)
@network_options
def erase(*, repository: str, commitment: str | None, node: str | None, account: str | None) -> Said:
    """Erase a text of REPOSITORY (OWNER/NAME) for ever, on every node: its words, and what proves them.

    COMMITMENT is as `guts text list` shows it, whole or its first 6 digits or more; without it, the
    description as it is now. Its author and administrators of the repository may. Signed here, with
    your account key.
    """
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        text = _chosen(sight, found.full_name, commitment)
        height: int | None = None
        if text.state == "present":
            done = sight.network.act(sight.network.key(account), (Erase(found.id, text.commitment, ()),))
            height = done.height
    name = text.commitment.hex()
    data = {"repository": found.full_name, "commitment": name, "state": "erased", "height": height}
    words = "was erased before" if height is None else "is erased on every node that is up, and on others when they are"
    return Said(data, f"text {name[:12]} of {found.full_name} {words}", f"guts text list {found.full_name}")


def _chosen(sight: Sight, repository: str, commitment: str | None) -> TextEntry:
    """The one text that is meant."""
    if commitment is None:
        found = [text for text in sight.client.texts(repository) if text.in_use]
    else:
        wanted = commitment.lower()
        if not LEAST_DIGITS <= len(wanted) <= COMMITMENT_DIGITS or not set(wanted) <= set("0123456789abcdef"):
            raise Usage(f"a commitment is {LEAST_DIGITS} to {COMMITMENT_DIGITS} hexadecimal digits")
        found = [text for text in sight.client.texts(repository) if text.commitment.hex().startswith(wanted)]
    if len(found) > 1:
        raise Usage(f"{len(found)} texts begin like this: give more digits", f"guts text list {repository}")
    if not found:
        what = "description" if commitment is None else "text of this commitment"
        raise Missing(f"{repository} has no {what}", f"guts text list {repository}")
    return found[0]


def _line(text: TextEntry) -> str:
    use = "description now" if text.in_use else ""
    return f"{text.commitment.hex()}  {text.state:8}  by {text.author}  {use}".rstrip()
