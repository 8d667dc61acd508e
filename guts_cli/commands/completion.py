"""``guts completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from guts_cli.outcomes import Said
from guts_cli.shape import command, wants_json

SHELLS = ("bash", "zsh", "fish")


@command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Said | int:
    """Print what makes SHELL complete `guts` commands, options, and names that are stored here.

    Try it with `eval "$(guts completion bash)"`; write it where the shell looks to keep it:

    \b
      bash  ~/.local/share/bash-completion/completions/guts
      zsh   _guts in a directory of fpath
      fish  ~/.config/fish/completions/guts.fish
    """  # noqa: D301 -- the backspace is click's mark of lines to be left as they are
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    script = found(root, {}, "guts", "_GUTS_COMPLETE").source()
    if wants_json():
        return Said({"shell": shell, "script": script}, script)
    click.echo(script)  # a program reads this: no line beside it
    return 0
