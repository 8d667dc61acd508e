"""JSON to values and back: exactly the declared types, or ``UnexpectedAnswer`` naming the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from attrs import has

from guts_core.names import AccountId, BlockHash, ChainId, CredentialId, NodeId, Oid, RepoId, Root, TxId
from guts_core.node.port import Phase
from guts_core.simplex.quorum import FaultModel

from .errors import UnexpectedAnswer
from .results import At, Values

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

_HEX = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_LENGTHS: dict[Any, int] = {
    CredentialId: 32,
    RepoId: 32,
    ChainId: 32,
    BlockHash: 32,
    Root: 32,
    TxId: 32,
    AccountId: 32,
    NodeId: 32,
    Oid: 20,
}
_ENUMS: tuple[type[Enum], ...] = (FaultModel, Phase)
_TYPES: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


def read_json(body: bytes, what: str) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer(f"{what}: the answer is no JSON; is this a Guts node?") from None


def one(cls: type[T], value: object, what: str) -> T:
    """The value as this class."""
    from cattrs import BaseValidationError  # noqa: PLC0415 -- loaded with the first answer, not by help and completion

    try:
        return _converter().structure(value, cls)
    except (BaseValidationError, ValueError, TypeError, KeyError) as error:
        raise UnexpectedAnswer(f"{what}: the answer is no {cls.__name__}: {_words(error)}") from None


def many(cls: type[T], value: object, what: str) -> tuple[T, ...]:
    """The value as a list of this class."""
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"{what}: the answer is no list of {cls.__name__}")
    return tuple(one(cls, each, what) for each in value)


def as_json(value: object) -> Any:
    """A result as plain JSON values: ids in hexadecimal, times in RFC 3339, enums by name."""
    return _converter().unstructure(value)


@cache
def _converter() -> Converter:
    from cattrs import Converter  # noqa: PLC0415 -- see ``one``

    converter = Converter()
    for kind in _TYPES:
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(bytes, lambda value, _: _bytes(value, None))
    for name, size in _LENGTHS.items():
        converter.register_structure_hook(name, _sized(size))
    converter.register_structure_hook(datetime, lambda value, _: _time(value))
    converter.register_structure_hook_func(lambda hint: hint == Values, lambda value, _: _values(value))
    for named in _ENUMS:
        converter.register_structure_hook(named, _named)
        converter.register_unstructure_hook(named, _name)
    converter.register_structure_hook_factory(lambda cls: bool(_places(cls)), lambda cls: _placing(converter, cls))
    converter.register_unstructure_hook(bytes, bytes.hex)
    converter.register_unstructure_hook(datetime, _time_text)
    return converter


def _places(cls: Any) -> dict[str, str]:
    """The fields of a class that stand elsewhere, and where."""
    if not (isinstance(cls, type) and has(cls)):
        return {}
    hints = get_type_hints(cls, include_extras=True)
    marks = ((name, mark) for name, hint in hints.items() for mark in getattr(hint, "__metadata__", ()))
    return {name: mark.path for name, mark in marks if isinstance(mark, At)}


def _placing(converter: Converter, cls: Any) -> Callable[[object, Any], Any]:
    """Brings the fields that stand elsewhere to their names, then reads as usual."""
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415 -- see ``one``

    read, places = make_dict_structure_fn(cls, converter), _places(cls)

    def placed(value: object, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError("an object expected")
        return read({**value, **{name: _at(value, path) for name, path in places.items()}}, kind)

    return placed


def _at(value: Any, path: str) -> Any:
    head, listed, rest = path.partition("[].")
    for name in head.split("."):
        if not isinstance(value, dict) or name not in value:
            raise KeyError(path)
        value = value[name]
    if not listed:
        return value
    if not isinstance(value, list):
        raise TypeError(f"{head}: a list expected")
    return [_at(each, rest) for each in value]


def _exactly(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{_TYPES[kind]} expected")
    return value


def _bytes(value: object, size: int | None) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise TypeError("hexadecimal digits expected")
    if size is not None and len(value) != 2 * size:
        raise ValueError(f"{2 * size} hexadecimal digits expected")
    return bytes.fromhex(value)


def _sized(size: int) -> Any:
    return lambda value, _: _bytes(value, size)


def _values(value: object) -> Values:
    if not isinstance(value, dict) or not all(type(one) in {int, str, type(None)} for one in value.values()):
        raise TypeError("an object of numbers and texts expected")
    return dict(value)


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise TypeError("a time expected")
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError("a time with its zone expected")
    return time


def _time_text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def _named(value: object, kind: Any) -> Any:
    for member in kind:
        if member.name.lower() == value:
            return member
    raise ValueError(f"one of {', '.join(member.name.lower() for member in kind)} expected")


def _name(member: Enum) -> str:
    return member.name.lower()


def _words(error: BaseException) -> str:
    """The first thing that is wrong, with the names that lead to it."""
    path = ""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            path += f"{getattr(note, 'name', getattr(note, 'index', ''))}: "
    if isinstance(error, KeyError):
        return f"{path}{error.args[0]} is missing"
    return f"{path}{str(error)[:200]}"
