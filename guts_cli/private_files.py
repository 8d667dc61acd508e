"""Small files that only their owner may read: keys, tokens, contexts. Written whole or not at all."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter, transform_error

from guts_core.errors import Invalid, remade
from guts_net.disk import LocalDisk, make_lasting_directory
from guts_net.protocols import Disk

from .outcomes import Misconfigured

T = TypeVar("T")
PRIVATE_MODE = 0o600
PRIVATE_DIRECTORY_MODE = 0o700
# What keys are kept on; the tests of power cuts put one here that loses what was not synced.
DISK: Disk = LocalDisk()
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def _converter() -> Converter:
    """Types as they stand: JSON's 1 is no string and no truth value."""
    converter = Converter(forbid_extra_keys=True)

    def exactly(value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{kind.__name__} expected")
        return value

    for scalar in (int, str, bool):
        converter.register_structure_hook(scalar, exactly)
    return converter


CONVERTER = _converter()


def write_private(path: Path, text: str) -> None:
    """Replace a file, readable by its owner only from its first byte on."""
    make_lasting_directory(DISK, path.parent, PRIVATE_DIRECTORY_MODE)
    DISK.write_file(path, text.encode(), PRIVATE_MODE)


def remove_private(path: Path) -> None:
    """Take a file away; none is no error."""
    DISK.unlink(path)


def write_record(path: Path, record: object) -> None:
    """An attrs value as a private JSON file."""
    write_private(path, json.dumps(CONVERTER.unstructure(record), indent=2) + "\n")


def read_private(path: Path) -> str:
    """A file that holds a secret; refused while others can read it."""
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise Misconfigured(f"{path} can be read by others (mode {stat.S_IMODE(mode):03o})", f"chmod 600 {path}")
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is no text: {error}") from error


def read_record(path: Path, cls: type[T]) -> T:
    """The attrs value in a JSON file; Misconfigured names the file and every problem."""
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise Misconfigured(f"{path}: not a JSON object")
        return CONVERTER.structure(value, cls)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not JSON: {error}") from error
    except BaseValidationError as error:
        raise Misconfigured(f"{path}: {'; '.join(transform_error(error))}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What is wrong with a file that somebody named is said with its name."""
    try:
        yield
    except Invalid as error:
        raise remade(type(error), f"{path}: {error}") from error
