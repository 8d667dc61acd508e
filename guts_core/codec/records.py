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

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, assert_never, cast

from guts_core.codec.cbor import Value, decode, encode
from guts_core.codec.compiled import STUMBLES, Read, Write, _Unusual, compile_reader, compile_writer, family_reader
from guts_core.codec.shapes import Choice, Many, Maybe, Nested, OneOf, Scalar, Shape, shapes_of
from guts_core.errors import Malformed

T = TypeVar("T")
_Write = Callable[[Any], Value]
_Read = Callable[[Value], Any]


_KINDS: dict[int, type] = {}


def record(kind: int, version: int = 0, *, often: bool = False) -> Callable[[type[T]], type[T]]:
    """
    Class decorator, outside ``@frozen``: assigns the wire kind and version of a record.

    ``often``: one and the same record is written time and again, to the log, to a peer and inside others; the
    bytes of the last ones are kept.
    """

    def mark(cls: type[T]) -> type[T]:
        assert hasattr(cls, "__attrs_attrs__"), f"{cls.__name__} is not an attrs class"
        owner = _KINDS.setdefault(kind, cls)
        assert owner is cls or owner.__qualname__ == cls.__qualname__, f"kind {kind} is {owner.__name__}"
        _KINDS[kind] = cls
        cls.__record__ = (kind, version)  # type: ignore[attr-defined]  # read back by _coder only
        cls.__written_often__ = often  # type: ignore[attr-defined]  # read back by the compiled writer only
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
    cls = type(obj)
    try:
        return (_WRITERS.get(cls) or _writer(cls))(obj)
    except _Unusual:
        return encode(_coder(cls).write(obj))


def from_bytes(cls: type[T], data: bytes) -> T:
    """The record of this class with these canonical bytes; raises Malformed."""
    try:
        found, end = (_READERS.get(cls) or _reader(cls))(data, 0)
        if end == len(data) and data.__class__ is bytes:
            return cast("T", found)
    except STUMBLES:
        pass
    return cast("T", _coder(cls).read(decode(data)))


def peek(cls: type[T], data: bytes, at: int) -> T | None:
    """
    The record of this class that begins here in longer bytes, which were taken apart as a whole once.

    None: only the whole says what stands here.
    """
    try:
        return cast("T", (_READERS.get(cls) or _reader(cls))(data, at)[0])
    except STUMBLES:
        return None


_WRITERS: dict[type, Write] = {}
_READERS: dict[type, Read] = {}


def _writer(cls: type) -> Write:
    made = _WRITERS[cls] = compile_writer(cls)
    return made


def _reader(cls: type) -> Read:
    made = _READERS[cls] = compile_reader(cls)
    return made


class Family:
    """A closed set of record classes, told apart by kind: the messages of a protocol, say."""

    def __init__(self, members: Iterable[type]) -> None:
        self._by_kind = {kind_of(cls): cls for cls in members}
        self._read: Read | None = None

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
        if self._read is None:
            self._read = family_reader(tuple(self._by_kind.values()))
        try:
            found, end = self._read(data, 0)
            if end == len(data) and data.__class__ is bytes:
                return found
        except STUMBLES:
            pass
        return self.from_value(decode(data))


class _Coder:
    """How one record class is written and read: the plain way, which says what is wrong."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        kind, version = cls.__record__  # type: ignore[attr-defined]  # set by @record
        self._head: tuple[Value, Value] = (kind, version)
        shapes = shapes_of(cls)
        self._writes = [(name, _write(shape)) for name, shape in shapes]
        self._reads = [_read(shape, f"{cls.__name__}.{name}") for name, shape in shapes]

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


def _write(shape: Shape) -> _Write:
    match shape:
        case Scalar():
            return _same
        case Choice():
            return int
        case Nested() | OneOf():
            return to_value
        case Maybe():
            inner = _write(shape.inner)
            return lambda value: None if value is None else inner(value)
        case Many():
            item = _write(shape.item)
            return lambda items: tuple(item(one) for one in items)
        case _:
            assert_never(shape)


def _same(value: Any) -> Value:
    return cast("Value", value)


def _read(shape: Shape, where: str) -> _Read:
    match shape:
        case Scalar():
            return _scalar(shape, where)
        case Choice():
            return _choice(shape, where)
        case Nested():
            return lambda value: _coder(shape.cls).read(value)
        case OneOf():
            return Family(shape.members).from_value
        case Maybe():
            inner = _read(shape.inner, where)
            return lambda value: None if value is None else inner(value)
        case Many():
            return _many(shape, where)
        case _:
            assert_never(shape)


def _scalar(shape: Scalar, where: str) -> _Read:
    kind, least, most = shape.kind, shape.limit.least, shape.limit.most

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


def _choice(shape: Choice, where: str) -> _Read:
    members = {int(member): member for member in shape.kind}

    def read(value: Value) -> Any:
        if type(value) is not int or value not in members:
            raise Malformed(f"{where}: {value!r} is no {shape.kind.__name__}")
        return members[value]

    return read


def _many(shape: Many, where: str) -> _Read:
    read_item = _read(shape.item, where)
    least, most = shape.limit.least, shape.limit.most

    def read(value: Value) -> Any:
        if not isinstance(value, tuple):
            raise Malformed(f"{where}: array expected")
        if not least <= len(value) <= most:
            raise Malformed(f"{where}: {len(value)} items are outside {least}..{most}")
        return tuple(read_item(item) for item in value)

    return read
