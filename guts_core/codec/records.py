"""
Records: frozen attrs classes whose canonical bytes are an array ``[kind, version, fields...]``.

``@record(kind)`` gives a class its wire number for ever (they stand in ``kinds.py``, one space
for everything that is stored, signed or sent). Fields are typed with::

    int, bytes, str, bool, Uint-like NewTypes and IntEnum, Optional[T],
    tuple[T, ...], another record, a union of records, Annotated[bytes | str | int, Limit(...)]

and the coder for a class is built from these types once. Decoding is strict: wrong kind, wrong
version, wrong number of fields, wrong type or a broken limit raise Malformed.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, TypeVar, Union, cast

import attrs
from attrs import frozen

from guts_core.codec.cbor import UINT_MAX, Value, decode, encode
from guts_core.errors import Malformed

T = TypeVar("T")
_Write = Callable[[Any], Value]
_Read = Callable[[Value], Any]


@frozen
class Limit:
    """Bounds of a field: exact or least and most length (bytes, UTF-8 bytes, items) or value (int)."""

    most: int
    least: int = 0

    @classmethod
    def exactly(cls, size: int) -> Limit:
        """A field of one possible size."""
        return cls(most=size, least=size)


_KINDS: dict[int, type] = {}


def record(kind: int, version: int = 0) -> Callable[[type[T]], type[T]]:
    """Class decorator, outside ``@frozen``: assigns the wire kind and version of a record."""

    def mark(cls: type[T]) -> type[T]:
        assert hasattr(cls, "__attrs_attrs__"), f"{cls.__name__} is not an attrs class"
        owner = _KINDS.setdefault(kind, cls)
        assert owner is cls or owner.__qualname__ == cls.__qualname__, f"kind {kind} is {owner.__name__}"
        _KINDS[kind] = cls
        cls.__record__ = (kind, version)  # type: ignore[attr-defined]  # read back by _coder only
        return cls

    return mark


def kind_of(cls: type) -> int:
    """The wire kind of a record class."""
    return cast("int", cls.__record__[0])  # type: ignore[attr-defined]  # set by @record


def all_kinds() -> dict[int, type]:
    """Every record class imported so far, by kind."""
    return dict(_KINDS)


def to_value(obj: object) -> Value:
    """A record as the array that is encoded."""
    return _coder(type(obj)).write(obj)


def from_value(cls: type[T], value: Value) -> T:
    """The record of this class that an array stands for; raises Malformed."""
    return cast("T", _coder(cls).read(value))


def to_bytes(obj: object) -> bytes:
    """The canonical bytes of a record."""
    return encode(_coder(type(obj)).write(obj))


def from_bytes(cls: type[T], data: bytes) -> T:
    """The record of this class with these canonical bytes; raises Malformed."""
    return cast("T", _coder(cls).read(decode(data)))


class Family:
    """A closed set of record classes, told apart by kind: the messages of a protocol, say."""

    def __init__(self, members: Iterable[type]) -> None:
        self._by_kind = {kind_of(cls): cls for cls in members}

    def from_value(self, value: Value) -> Any:
        """The member that an array stands for; raises Malformed for any other kind."""
        if not isinstance(value, tuple) or not value or type(value[0]) is not int:
            raise Malformed("not a record")
        cls = self._by_kind.get(value[0])
        if cls is None:
            raise Malformed(f"kind {value[0]} is not expected here")
        return _coder(cls).read(value)

    def from_bytes(self, data: bytes) -> Any:
        """The member with these canonical bytes; raises Malformed."""
        return self.from_value(decode(data))


class _Coder:
    """How one record class is written and read."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        kind, version = cls.__record__  # type: ignore[attr-defined]  # set by @record
        self._head: tuple[Value, Value] = (kind, version)
        hints = typing.get_type_hints(cls, include_extras=True)
        fields = attrs.fields(cls)
        self._names = [field.name for field in fields]
        codecs = [_field(hints[name], f"{cls.__name__}.{name}") for name in self._names]
        self._writes = [(field.name, write) for field, (write, _) in zip(fields, codecs, strict=True)]
        self._reads = [read for _, read in codecs]

    def write(self, obj: Any) -> Value:
        return (*self._head, *[write(getattr(obj, name)) for name, write in self._writes])

    def read(self, value: Value) -> Any:
        name = self._cls.__name__
        if (
            not isinstance(value, tuple)
            or value[:2] != self._head
            or type(value[0]) is not int
            or type(value[1]) is not int
        ):
            raise Malformed(f"not a {name}")
        if len(value) != len(self._reads) + 2:
            raise Malformed(f"{name} has {len(self._reads)} fields, not {len(value) - 2}")
        return self._cls(*[read(item) for read, item in zip(self._reads, value[2:], strict=True)])


_CODERS: dict[type, _Coder] = {}


def _coder(cls: type) -> _Coder:
    coder = _CODERS.get(cls)
    if coder is None:
        coder = _CODERS[cls] = _Coder(cls)
    return coder


def _field(hint: Any, where: str) -> tuple[_Write, _Read]:
    limit: Limit | None = None
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            limit = next((m for m in hint.__metadata__ if isinstance(m, Limit)), limit)
            hint = hint.__origin__
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            break
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(typing.get_args(hint), where)
    if origin is tuple:
        return _sequence(typing.get_args(hint), limit, where)
    if isinstance(hint, type):
        if hasattr(hint, "__record__"):
            return to_value, lambda value: _coder(hint).read(value)
        if issubclass(hint, IntEnum):
            return int, _enum(hint, where)
        if hint in (int, bytes, str, bool):
            return _same, _scalar(hint, limit, where)
    raise TypeError(f"{where}: {hint!r} has no canonical form")


def _same(value: Any) -> Value:
    return cast("Value", value)


def _scalar(kind: type, limit: Limit | None, where: str) -> _Read:
    least, most = (limit.least, limit.most) if limit else (0, UINT_MAX)

    def read(value: Value) -> Any:
        if type(value) is not kind:
            raise Malformed(f"{where}: {kind.__name__} expected")
        if kind is bool:
            return value
        size = value if kind is int else len(value.encode()) if kind is str else len(cast("bytes", value))  # type: ignore[union-attr]  # type checked above
        if not least <= cast("int", size) <= most:
            raise Malformed(f"{where}: {size} is outside {least}..{most}")
        return value

    return read


def _enum(kind: type[IntEnum], where: str) -> _Read:
    members = {int(member): member for member in kind}

    def read(value: Value) -> Any:
        if type(value) is not int or value not in members:
            raise Malformed(f"{where}: {value!r} is no {kind.__name__}")
        return members[value]

    return read


def _sequence(args: tuple[Any, ...], limit: Limit | None, where: str) -> tuple[_Write, _Read]:
    if len(args) != 2 or args[1] is not Ellipsis:
        raise TypeError(f"{where}: only tuple[T, ...] has a canonical form")
    write_item, read_item = _field(args[0], where)
    least, most = (limit.least, limit.most) if limit else (0, UINT_MAX)

    def write(items: Any) -> Value:
        return tuple(write_item(item) for item in items)

    def read(value: Value) -> Any:
        if not isinstance(value, tuple):
            raise Malformed(f"{where}: array expected")
        if not least <= len(value) <= most:
            raise Malformed(f"{where}: {len(value)} items are outside {least}..{most}")
        return tuple(read_item(item) for item in value)

    return write, read


def _union(args: tuple[Any, ...], where: str) -> tuple[_Write, _Read]:
    optional = type(None) in args
    members = [arg for arg in args if arg is not type(None)]
    if len(members) == 1:
        write_one, read_one = _field(members[0], where)
    else:
        assert all(hasattr(m, "__record__") for m in members), f"{where}: unions are of records"
        write_one, read_one = to_value, Family(members).from_value

    def write(value: Any) -> Value:
        return None if value is None else write_one(value)

    def read(value: Value) -> Any:
        if value is None and optional:
            return None
        return read_one(value)

    return write, read
