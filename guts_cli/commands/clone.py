"""``guts clone``."""

from __future__ import annotations

import shlex

import click

from guts_cli.acting import network_options
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Said, printable
from guts_cli.ready.clone import ready_made
from guts_cli.remote import open_remote
from guts_cli.shape import git_arguments, git_command
from guts_cli.target import parse_target

# What git is told, so that it says nothing but errors.
QUIET = {"-q", "--quiet"}


@git_command()
@click.argument("repository", shell_complete=complete_repository)
@click.argument("directory", required=False, type=click.Path())
@network_options
@click.option("--helper/--no-helper", default=True, help="Let plain `git push` there find the saved token, too.")
def clone(*, repository: str, directory: str | None, node: str | None, account: str | None, helper: bool) -> Said:
    """Clone REPOSITORY (OWNER/NAME, or its URL) with stock git, its refs proven and its packs ready-made.

    \b
      guts clone alice/hello
      guts clone alice/hello -- --depth 1   what stands after -- is git's

    The refs are checked against the pinned genesis, packs and indexes against their digests, and come
    from several nodes at once; git then indexes nothing. Where packs are not handed out as they are,
    git's own protocol is used. Plain `git clone guts://OWNER/NAME` does the same.

    The first node of the context that answers becomes `origin`. A token is shown where
    one is saved (`guts token create --save`) or in GUTS_TOKEN; public repositories need none.

    The clone's configuration names `guts credential` as the node's credential helper, never the
    token itself; --no-helper leaves that out.
    """  # noqa: D301 -- the backspace is click's mark of lines to be left as they are
    target = parse_target(repository)
    remote = open_remote(target, node, account)
    kept = [part for setting in remote.helper.kept() for part in ("-c", setting)] if helper else []
    place = directory or target.name
    way = ready_made(remote, node=node, account=account)
    if way.why_not is not None and not QUIET & {*git_arguments()}:
        click.echo(f"guts: cloning by git's own protocol: {printable(way.why_not)}", err=True)
    arguments = ["clone", *kept, *git_arguments(), remote.url, *([directory] if directory else [])]
    remote.run(arguments, way.settings, way.environment)
    return remote.said(f"{target.full_name} is cloned to {place}", f"cd {shlex.quote(place)}", directory=place)
