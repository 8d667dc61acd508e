"""``guts pull``."""

from __future__ import annotations

import click

from guts_cli.acting import network_options
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Said
from guts_cli.remote import current_branch, open_remote, remote_here
from guts_cli.shape import git_arguments, git_command
from guts_cli.target import parse_target


@git_command()
@click.argument("repository", required=False, shell_complete=complete_repository)
@click.argument("refs", nargs=-1)
@network_options
def pull(*, repository: str | None, refs: tuple[str, ...], node: str | None, account: str | None) -> Said:
    """Pull from REPOSITORY (OWNER/NAME, or its URL), or in a clone from where it came from.

    \b
      guts pull                          in a clone: as `git pull` does
      guts pull alice/hello              its branch of the same name
      guts pull alice/hello next         another branch
      guts pull -- --rebase              what stands after -- is git's

    The saved token is used, and the next node of the network where the first does not answer.
    """  # noqa: D301 -- the backspace is click's mark of lines to be left as they are
    if repository is None:
        remote, settings = remote_here("pull", node, account)
        remote.run(["pull", *git_arguments()], settings)
    else:
        remote = open_remote(parse_target(repository), node, account)
        remote.run(["pull", *git_arguments(), remote.url, *(refs or (current_branch(),))])
    return remote.said(f"pulled from {remote.target.full_name}", "git log --oneline -5")
