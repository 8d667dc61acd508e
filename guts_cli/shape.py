"""Commands that load when they are used, and print what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

import click
from attrs import frozen
from click.shell_completion import CompletionItem

from .outcomes import Said, show

JSON_KEY = "guts.json"
SHOWN_CHARS = 100


class Command(click.Command):
    """A command with ``--json``; a returned ``Said`` is printed."""

    def __init__(self, name: str | None, **attrs: Any) -> None:
        json_option = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object.")
        attrs["params"] = [*(attrs.get("params") or []), json_option]
        super().__init__(name, **attrs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it and print the answer."""
        as_json = bool(ctx.params.pop("as_json", False))
        ctx.meta[JSON_KEY] = as_json
        answer = super().invoke(ctx)
        if isinstance(answer, Said):
            show(answer, as_json)
            return None
        return answer


def wants_json() -> bool:
    """Whether the running command was asked for JSON."""
    return bool(click.get_current_context().meta.get(JSON_KEY))


@frozen
class Entry:
    """Where a command is found, and its line in the help, which is shown without loading it."""

    module: str
    attribute: str
    line: str
    section: str | None = "Commands"  # None: programs type it, people need not see it


# What git is to be told beyond our own options stands after this word.
SEPARATOR = "--"
GIT_ARGUMENTS_KEY = "guts.git-arguments"


class GitCommand(Command):
    """A command that runs git, and hands it what stands after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ours before the separator, git's after it."""
        ours, rest = split_at_separator(args)
        ctx.meta[GIT_ARGUMENTS_KEY] = tuple(rest)
        return super().parse_args(ctx, list(ours))

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Say in the usage line that git's come last."""
        return [*super().collect_usage_pieces(ctx), f"[{SEPARATOR} GIT_OPTIONS...]"]


def split_at_separator(args: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is for us, and what is for git."""
    if SEPARATOR not in args:
        return args, ()
    place = list(args).index(SEPARATOR)
    return args[:place], args[place + 1 :]


def git_arguments() -> tuple[str, ...]:
    """What the running command is to hand to git."""
    found: tuple[str, ...] = click.get_current_context().meta[GIT_ARGUMENTS_KEY]
    return found


class Group(click.Group):
    """A group whose commands are imported on use, so that ``--help`` and completion stay fast."""

    command_class = Command
    group_class = type

    def __init__(self, name: str | None, *, entries: Mapping[str, Entry], **attrs: Any) -> None:
        super().__init__(name, no_args_is_help=True, **attrs)
        self.entries = dict(entries)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.entries)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but what was mistyped is told with what it looks like."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 -- for what was mistyped only

            known = [name for name, entry in self.entries.items() if entry.section]
            similar = get_close_matches(args[0], known, n=1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            ctx.fail(f"there is no command {args[0][:SHOWN_CHARS]!r}{hint}")
        return super().resolve_command(ctx, args)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        return cast("click.Command", getattr(import_module(entry.module), entry.attribute))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table alone: completion must not wait for commands to be loaded."""
        found = [
            CompletionItem(name, help=entry.line)
            for name, entry in self.entries.items()
            if name.startswith(incomplete) and entry.section
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's lists, from the table alone."""
        sections = dict.fromkeys(entry.section for entry in self.entries.values() if entry.section)
        for section in sections:
            rows = [(name, entry.line) for name, entry in self.entries.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)


def command(**attrs: Any) -> Callable[[Callable[..., Any]], Command]:
    """Decorator for a command that is reached through a table of entries."""
    return click.command(cls=Command, **attrs)


def git_command(**attrs: Any) -> Callable[[Callable[..., Any]], GitCommand]:
    """The same for one that runs git."""
    return click.command(cls=GitCommand, **attrs)
