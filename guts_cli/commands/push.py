"""``guts push``."""

from __future__ import annotations

import click

from guts_cli.acting import network_options
from guts_cli.completing import complete_repository
from guts_cli.git import ask_git, run_git
from guts_cli.outcomes import Said
from guts_cli.remote import Remote, current_branch, open_remote, remote_here
from guts_cli.shape import git_arguments, git_command
from guts_cli.target import parse_target


@git_command()
@click.argument("repository", required=False, shell_complete=complete_repository)
@click.argument("refspecs", nargs=-1)
@network_options
@click.option("-u", "--set-upstream", is_flag=True, help="Make it the remote `origin` where there is none.")
def push(
    *, repository: str | None, refspecs: tuple[str, ...], node: str | None, account: str | None, set_upstream: bool
) -> Said:
    """Push to REPOSITORY (OWNER/NAME, or its URL), or from a clone to where it came from.

    \b
      guts push                          in a clone: as `git push` does
      guts push alice/hello              the current branch
      guts push alice/hello v1.0         a tag, or any refspec of git's
      guts push alice/hello -- --force   what stands after -- is git's

    Under your own name a repository that does not exist is created. The saved token is used, and
    the next node of the network where the first does not answer.
    """  # noqa: D301 -- the backspace is click's mark of lines to be left as they are
    if repository is None:
        remote, settings = remote_here("push -u", node, account)
        remote.run(["push", *git_arguments()], settings)
    else:
        remote = open_remote(parse_target(repository), node, account)
        _push(remote, refspecs, git_arguments(), set_upstream=set_upstream)
    return remote.said(f"pushed to {remote.target.full_name}", f"guts repo view {remote.target.full_name}")


def _push(remote: Remote, refspecs: tuple[str, ...], options: tuple[str, ...], *, set_upstream: bool) -> None:
    branch = current_branch()
    refs = refspecs or (f"HEAD:refs/heads/{branch}",)
    if not set_upstream or ask_git("config", "remote.origin.url") is not None:
        remote.run(["push", *options, remote.url, *refs])
        return
    _git("remote", "add", "origin", remote.url)
    try:
        remote.run(["push", "--set-upstream", *options, "origin", *refs])
    except BaseException:
        _git("remote", "remove", "origin")
        raise
    for setting in remote.helper.kept():
        key, _, value = setting.partition("=")
        _git("config", "--local", "--add", key, value)


def _git(*arguments: str) -> None:
    code = run_git(arguments, may_ask=False, to_stderr=True)
    assert code == 0, f"git {arguments[0]} in the user's own repository"
