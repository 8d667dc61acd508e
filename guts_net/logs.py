"""
Log lines: one JSON object each, over the standard library's logging.

    log = Log("peers")
    log.info("link_opened", peer="ada", round_trip_us=412)
    with bound(request_id="7f"): ...

JSON escapes control characters, so no text that someone else chose can start a line of its own.
Nothing secret is written: fields with the name of a secret lose their value, and anything that
looks like one of our tokens is cut out of every string, tracebacks included. A log call never
raises because of what it was given.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TypeAlias

Scalar: TypeAlias = "str | int | float | bool | bytes | None"

ROOT = "guts"
REFUSED = "[refused]"
# Whoever adds a field with one of these names made a mistake; the value must not reach the disk.
SECRET_FIELDS = frozenset({
    "authorization", "cookie", "credential_seed", "password", "private_key", "secret", "seed", "token", "vote_seed",
})  # fmt: skip
# One line of a hostile peer's or client's making stays readable.
STRING_CHARS_MAX = 8_192
# A busy week at the usual level, some 300 bytes a request; older lines are dropped with their files.
FILE_BYTES_MAX = 64 << 20
FILES_KEPT = 5
_TOKEN = re.compile(r"guts_pat_[0-9A-Za-z]*")
_BOUND: ContextVar[dict[str, Scalar]] = ContextVar("guts_log_fields", default={})  # noqa: B039  # never mutated, only replaced


# The logger is the process's: what it was before the first of our handlers came, and those that are there.
_BEFORE: list[tuple[int, bool]] = []
_OPEN: list[logging.Handler] = []


class Log:
    """Says what happened in one part of the node."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{part}")

    def debug(self, event: str, **fields: Scalar) -> None:
        """What only someone who looks for a bug wants to know."""
        self._say(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Scalar) -> None:
        """What an operator may want to know later."""
        self._say(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Scalar) -> None:
        """What an operator should look at some day."""
        self._say(logging.WARNING, event, fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Scalar) -> None:
        """What an operator should look at now; ``error`` adds its traceback."""
        if self._logger.isEnabledFor(logging.ERROR):
            self._logger.error("%s", event, extra={"fields": fields}, exc_info=error)

    def _say(self, level: int, event: str, fields: dict[str, Scalar]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={"fields": fields})


@contextmanager
def bound(**fields: Scalar) -> Iterator[None]:
    """Add these fields to every line said inside, in this task and the tasks it starts."""
    token = _BOUND.set({**_BOUND.get(), **fields})
    try:
        yield
    finally:
        _BOUND.reset(token)


@contextmanager
def open_logs(
    target: Path | None,
    level: int = logging.INFO,
    *,
    file_bytes: int = FILE_BYTES_MAX,
    files_kept: int = FILES_KEPT,
    **fields: Scalar,
) -> Iterator[None]:
    """
    Write Guts' log lines to a file (appending, readable by its owner only) or, for None, to stderr.

    A file that would grow beyond ``file_bytes`` becomes ``name.1``, the one before it ``name.2``, and so on.
    Nodes of one process have logs each and stop in any order: the last one leaves the logger as the first found it.
    """
    handler = _file_handler(target, file_bytes, files_kept) if target else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(fields))
    logger = logging.getLogger(ROOT)
    if not _OPEN:
        _BEFORE[:] = [(logger.level, logger.propagate)]
    _OPEN.append(handler)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        _OPEN.remove(handler)
        logger.removeHandler(handler)
        if not _OPEN:
            found, logger.propagate = _BEFORE.pop()
            logger.setLevel(found)
        handler.close()


def _file_handler(path: Path, most: int, kept: int) -> logging.Handler:
    return _OwnersFiles(path, maxBytes=most, backupCount=kept, encoding="utf-8", errors="backslashreplace")


class _OwnersFiles(RotatingFileHandler):
    """
    Files that nobody but their owner reads, each from its first byte on.

    The base class makes each line twice, and asks the disk how long the file is, before it writes one.
    """

    _size = 0

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).touch(mode=0o600, exist_ok=True)
        stream = super()._open()
        self._size = os.fstat(stream.fileno()).st_size
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; the one that would make the file too long begins the next."""
        try:
            line = self.format(record) + self.terminator
            if self._size + len(line) >= self.maxBytes > 0 and self._may_roll_over():
                self.doRollover()
            if self.stream is None:  # a rollover that failed
                self.stream = self._open()
            self._size += len(line)
            self.stream.write(line)
            self.flush()
        except Exception:  # noqa: BLE001  # as the base class: a log call never raises
            self.handleError(record)

    def _may_roll_over(self) -> bool:
        """Not what somebody put there that is no file, such as a terminal."""
        path = Path(self.baseFilename)
        return path.is_file() or not path.exists()


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, part, event, then fields."""

    def __init__(self, fields: dict[str, Scalar] | None = None) -> None:
        super().__init__()
        self._fields = fields or {}

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": record.name.removeprefix(f"{ROOT}."),
            "event": _clean(record.getMessage()),
        }
        said: dict[str, Scalar] = getattr(record, "fields", {})
        for fields in (self._fields, _BOUND.get(), said):
            line.update((name, REFUSED if name in SECRET_FIELDS else _clean(value)) for name, value in fields.items())
        if record.exc_info:
            line["error"] = _clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=_unknown)


def _clean(value: Scalar) -> Scalar:
    if isinstance(value, bytes):
        return value.hex()[:STRING_CHARS_MAX]
    if isinstance(value, str):
        return _TOKEN.sub("guts_pat_" + REFUSED, value[:STRING_CHARS_MAX])
    return value


def _unknown(value: object) -> Scalar:
    return _clean(str(value))
