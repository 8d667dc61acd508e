"""
How a command ends: one answer, printed for people or as one JSON object, and an exit code.

Exit codes are those of ``architecture.md`` 7 and stand in one table. With ``--json`` exactly one
object goes to standard output, be it the answer or the error.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping
from typing import ClassVar, Final

import click
from attrs import field, frozen

from guts_core.errors import Conflict, GutsError, NotFound, Refused, Unauthenticated

EXIT_OK: Final = 0
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells expect

# By the ``code`` of the error, or of the nearest ancestor that stands here.
EXIT_CODES: Final[dict[str, int]] = {
    "refused": 1,
    "limit-exceeded": 1,
    "peer-fault": 1,
    "usage": 2,
    "configuration": 2,
    "invalid": 2,
    "not-found": 3,
    "unauthenticated": 4,
    "not-allowed": 4,
    "conflict": 5,
    "unavailable": 6,
    "bad-proof": 7,
    "error": EXIT_BUG,
    "corrupt": EXIT_BUG,
    "out-of-memory": EXIT_BUG,
    "other-chain": 2,
    "unknown-rules": 78,
    "other-build": 78,
    "key-in-use": 78,
    "fork-seen": 78,
}

# What to type after an error that does not say so itself.
NEXT_AFTER: Final[dict[str, str]] = {
    "unauthenticated": "guts token create --scope repo --save",
    "not-allowed": "guts key show",
    "unavailable": "guts status",
    "unreachable": "guts devnet start, guts up, or another --node URL",
    "unexpected-answer": "the same command with another --node URL",
    "bad-proof": "guts verify OWNER/NAME@REF --node URL, with the URL of another node",
}


# Half of a decision is no decision: a process that was denied memory in the middle of one does not go on (F21).
NO_MEMORY_WORDS = (
    "this process was given no more memory, and ended rather than go on with half a state: what it acknowledged is "
    "on disk. Give it more, and start it again"
)


@frozen
class Said:
    """A command's answer: the object for programs, the text for people, the next command to type."""

    data: Mapping[str, object]
    text: str
    next: str | None = None


class Usage(Refused):
    """The command line asks for something that cannot be asked."""

    code: ClassVar[str] = "usage"

    def __init__(self, message: str, next_step: str | None = None) -> None:
        super().__init__(message)
        self.next_step = next_step


class Missing(NotFound):
    """What was named is not there; says what to type to see what is."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


class InTheWay(Conflict):
    """Something is there already; says what to type to make room."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


class Misconfigured(Usage):
    """A file or a port stands in the way: the operator must change something here first."""

    code = "configuration"


@frozen
class Failure:
    """What ``--json`` prints of an error."""

    code: str
    message: str
    next: str | None
    exit_code: int = field(default=1)


def failure_of(error: BaseException) -> Failure:
    """The code, words and exit code of anything that ends a command."""
    if isinstance(error, click.ClickException):
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "guts"
        # click writes choices one a line.
        words = " ".join(error.format_message().split())
        return Failure("usage", words, f"{path} --help", EXIT_CODES["usage"])
    if isinstance(error, GutsError):
        codes = [cls.__dict__["code"] for cls in type(error).__mro__ if "code" in cls.__dict__]
        exit_code = next((EXIT_CODES[code] for code in codes if code in EXIT_CODES), EXIT_BUG)
        fallback = next((NEXT_AFTER[code] for code in codes if code in NEXT_AFTER), None)
        if fallback and isinstance(error, Unauthenticated):
            fallback = other_token(fallback)
        if tx_id := getattr(error, "tx_id", None):
            fallback = f"guts verify --tx {tx_id.hex()}"  # a write that may still happen
        exit_code = getattr(error, "exit_code", exit_code)
        return Failure(error.code, str(error), getattr(error, "next_step", None) or fallback, exit_code)
    if isinstance(error, OSError):
        return Failure("configuration", _os_words(error), None, EXIT_CODES["configuration"])
    if isinstance(error, MemoryError):
        return Failure("out-of-memory", NO_MEMORY_WORDS, None, EXIT_CODES["out-of-memory"])
    message = f"{type(error).__name__}: {error}: this is a bug in guts"
    return Failure("bug", message, "report it with the lines above", EXIT_BUG)


def other_token(make: str) -> str:
    """What to type where a token is not accepted: that of the environment would come before any new one."""
    return f"unset GUTS_TOKEN; {make}" if os.environ.get("GUTS_TOKEN") else make


def _os_words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def counted(number: int, thing: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def show(said: Said, as_json: bool) -> None:
    """Print an answer."""
    if as_json:
        show_object(said.data)
        return
    click.echo(printable(said.text))
    if said.next:
        click.echo(f"\nnext: {printable(said.next)}")


def show_failure(failure: Failure, as_json: bool) -> None:
    """Print an error: for people on standard error."""
    if as_json:
        show_object({"error": {"code": failure.code, "message": failure.message, "next": failure.next}})
        return
    click.echo(f"guts: {printable(failure.message)}", err=True)
    if failure.next:
        click.echo(f"next: {printable(failure.next)}", err=True)


def show_object(data: Mapping[str, object]) -> None:
    """One JSON object; escapes keep it ASCII, so no terminal can be addressed through it."""
    click.echo(json.dumps(dict(data), indent=2))


def printable(text: str) -> str:
    """The text with control characters shown, not obeyed: names and messages come from elsewhere."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else f"\\x{ord(c):02x}" for c in text)
