"""
Straight-line coders: for each record class one function that writes it and one that reads it.

They are written out as source from the shapes of the fields and compiled once per class, which is
some four times faster than walking tuples. They know the ordinary case only: whatever is not exactly
as a good record is raises ``_Unusual``, and the plain coders of ``records`` decide, so that there is
one place that says what is refused and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from guts_core.codec.cbor import DEPTH_MAX, UINT_MAX, encode
from guts_core.codec.shapes import NO_LIMIT, Choice, Limit, Many, Maybe, Nested, OneOf, Scalar, Shape, shapes_of

Write = Callable[[Any], bytes]
Read = Callable[[bytes, int], tuple[Any, int]]

# Of records that are written often, the bytes of so many are kept: those of the views that are under way.
_KNOWN_MAX = 32
_NULL, _FALSE, _TRUE = 0xF6, 0xF4, 0xF5
_BYTES, _TEXT, _ARRAY = 0x40, 0x60, 0x80


def _long_head(major: int, argument: int) -> bytes:
    head = bytearray(encode(argument))
    head[0] |= major
    return bytes(head)


_SMALL = tuple(encode(number) for number in range(256))
_BYTES_HEADS, _TEXT_HEADS, _ARRAY_HEADS = (
    tuple(_long_head(major, size) for size in range(256)) for major in (_BYTES, _TEXT, _ARRAY)
)


class _Unusual(ValueError):
    """Not the ordinary case: the plain coder decides."""


# What a reader stumbles over when bytes are not as they should be.
STUMBLES = (IndexError, KeyError, ValueError)


def compile_writer(cls: type) -> Write:
    """The function that gives the canonical bytes of a record of exactly this class."""
    found = _WRITERS.get(cls)
    if found is None:
        found = _WRITERS[cls] = _Source(cls).writer()
    return found


def compile_reader(cls: type) -> Read:
    """The function that reads a record of this class at a place, and tells where it ends; the end may be too far."""
    found = _READERS.get(cls)
    if found is None:
        found = _READERS[cls] = _Source(cls).reader()
    return found


def family_reader(members: tuple[type, ...]) -> Read:
    """The same for a record that may be of any of these classes."""
    readers = {_head_of(cls)[0]: compile_reader(cls) for cls in members}

    def read(data: bytes, at: int) -> tuple[Any, int]:
        # Behind an array head of one byte stands the kind.
        kind = data[at + 1]
        if kind >= 24:
            kind = data[at + 2] if kind == 24 else data[at + 2] << 8 | data[at + 3]
        return readers[kind](data, at)

    return read


_WRITERS: dict[type, Write] = {}
_READERS: dict[type, Read] = {}


def _head_of(cls: type) -> tuple[int, bytes]:
    kind, version = cls.__record__  # type: ignore[attr-defined]  # set by @record
    count = len(shapes_of(cls)) + 2
    return kind, _long_head(_ARRAY, count) + encode(kind) + encode(version)


def _depth(shape: Shape) -> int:
    """How many arrays stand in each other."""
    match shape:
        case Scalar() | Choice():
            return 0
        case Nested():
            return 1 + max((_depth(inner) for _, inner in shapes_of(shape.cls)), default=0)
        case OneOf():
            return max(_depth(Nested(member)) for member in shape.members)
        case Maybe():
            return _depth(shape.inner)
        case Many():
            return 1 + _depth(shape.item)
        case _:
            assert_never(shape)


class _Source:
    """Source text in the making, and the objects that it names."""

    def __init__(self, cls: type) -> None:
        assert _depth(Nested(cls)) <= DEPTH_MAX, f"{cls.__name__} nests deeper than {DEPTH_MAX}"
        self._cls, self._shapes, self._head = cls, shapes_of(cls), _head_of(cls)[1]
        self._names: dict[str, Any] = dict(_HELPERS)
        self._lines: list[str] = []
        self._count = 0

    def writer(self) -> Write:
        """Compile the function that writes."""
        cls = self._name(self._cls)
        parts = [self._name(self._head)]
        for name, shape in self._shapes:
            value = self._fresh()
            parts += self._parts(f"({value} := record.{name})", value, shape)
        joined = f"b''.join(({', '.join(parts)},))"
        if self._cls.__written_often__:  # type: ignore[attr-defined]  # set by @record
            # Records never change, so the same object has the same bytes. What is known is held, so that no other
            # object takes its identity.
            known = self._name({})
            self._lines = ["def run(record):", f" found = {known}.get(id(record))", " if found: return found[1]"]
            self._lines += [f" if record.__class__ is not {cls}: raise _Unusual", f" found = {joined}"]
            self._lines += [f" if len({known}) >= {_KNOWN_MAX}: {known}.clear()"]
            self._lines += [f" {known}[id(record)] = record, found", " return found"]
        else:
            self._lines = ["def run(record):", f" if record.__class__ is not {cls}: raise _Unusual"]
            self._lines.append(f" return {joined}")
        return self._compiled()

    def reader(self) -> Read:
        """Compile the function that reads."""
        cls, head, size = self._name(self._cls), self._name(self._head), len(self._head)
        self._lines = ["def run(d, i):", f" if d[i:i+{size}] != {head}: raise _Unusual", f" i += {size}"]
        values = [self._read(shape, " ") for _, shape in self._shapes]
        self._lines.append(f" return {cls}({', '.join(values)}), i")
        return self._compiled()

    def _compiled(self) -> Callable[..., Any]:
        source = "\n".join(self._lines)
        code = compile(source, f"<coder of {self._cls.__name__}>", "exec")
        exec(code, self._names)  # noqa: S102  # our own text, made of field names and numbers only
        made: Callable[..., Any] = self._names["run"]
        return made

    def _fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _name(self, thing: object) -> str:
        name = f"k{len(self._names)}"
        self._names[name] = thing
        return name

    # ---- writing: expressions ----

    def _parts(self, first: str, value: str, shape: Shape) -> list[str]:
        """Expressions of the pieces of a value; ``first`` is what stands where it is used first."""
        if isinstance(shape, Scalar) and shape.kind is bytes:
            limit = shape.limit
            if limit.least == limit.most:
                head = self._name(_long_head(_BYTES, limit.most))
                return [
                    f"{head} if {first}.__class__ is bytes and len({value}) == {limit.most} else unusual()",
                    value,
                ]
            return [f"bytes_head({first})", value]
        return [self._expression(first, value, shape)]

    def _expression(self, first: str, value: str, shape: Shape) -> str:
        match shape:
            case Scalar():
                return self._scalar(first, value, shape)
            case Choice():
                table = self._name({int(member): encode(int(member)) for member in shape.kind})
                return f"({table}.get({first}) or unusual())"
            case Nested():
                return f"{self._name(compile_writer(shape.cls))}({first})"
            case OneOf():
                table = self._name({member: compile_writer(member) for member in shape.members})
                return f"{table}.get({first}.__class__, unusual)({value})"
            case Maybe():
                return f"(NULL if {first} is None else {self._expression(value, value, shape.inner)})"
            case Many(Scalar(kind, limit)) if kind is bytes and limit.least == limit.most:
                return f"many_alike({first}, {self._name(_long_head(_BYTES, limit.most))}, {limit.most})"
            case Many():
                item = self._fresh()
                return f"many({first}, lambda {item}: {self._expression(item, item, shape.item)})"
            case _:
                assert_never(shape)

    def _scalar(self, first: str, value: str, shape: Scalar) -> str:
        if shape.kind is int:
            return f"(SMALL[{value}] if {first}.__class__ is int and 0 <= {value} < 256 else uint({value}))"
        if shape.kind is bool:
            return f"(TRUE if {first} is True else FALSE if {value} is False else unusual())"
        if shape.kind is str:
            return f"text({first})"
        head, *rest = self._parts(first, value, shape)
        return f"(({head}) + {rest[0]})"

    # ---- reading: statements ----

    def _read(self, shape: Shape, indent: str) -> str:
        """Statements that read a value at ``i`` and move it on; the variable that holds it."""
        value = self._fresh()
        lines = self._statements(value, shape)
        self._lines += [indent + line for line in lines]
        return value

    def _statements(self, value: str, shape: Shape) -> list[str]:
        match shape:
            case Scalar() if shape.kind is bool:
                return [f"{value} = BOOLEANS[d[i]]", "i += 1"]
            case Scalar() if shape.kind is int:
                return _number(value, shape.limit)
            case Scalar():
                return self._string(value, shape)
            case Choice():
                table = self._name({int(member): member for member in shape.kind})
                return [*_number(value, NO_LIMIT), f"{value} = {table}[{value}]"]
            case Nested():
                return [f"{value}, i = {self._name(compile_reader(shape.cls))}(d, i)"]
            case OneOf():
                return [f"{value}, i = {self._name(family_reader(shape.members))}(d, i)"]
            case Maybe():
                inner = [" " + line for line in self._statements(value, shape.inner)]
                return [f"if d[i] == {_NULL}:", f" {value} = None", " i += 1", "else:", *inner]
            case Many():
                return self._array(value, shape)
            case _:
                assert_never(shape)

    def _string(self, value: str, shape: Scalar) -> list[str]:
        limit, size = shape.limit, f"n_{value}"
        if shape.kind is bytes and limit.least == limit.most and 24 <= limit.most < 256:
            at = limit.most + 2
            test = f"if d[i] != {_BYTES | 24} or d[i+1] != {limit.most}: raise _Unusual"
            return [test, f"{value} = d[i+2:i+{at}]", f"i += {at}"]
        major, decode = (_TEXT, ".decode()") if shape.kind is str else (_BYTES, "")
        return [*_length(size, major, limit), f"{value} = d[i:i+{size}]{decode}", f"i += {size}"]

    def _array(self, value: str, shape: Many) -> list[str]:
        # Each item is read from at least one byte, so a lying count ends with the bytes.
        size, item = f"n_{value}", self._fresh()
        inner = [" " + line for line in self._statements(item, shape.item)]
        loop = [f"for _ in range({size}):", *inner, f" l_{value}.append({item})"]
        return [*_length(size, _ARRAY, shape.limit), f"l_{value} = []", *loop, f"{value} = tuple(l_{value})"]


def _number(value: str, limit: Limit) -> list[str]:
    return [f"{value} = d[i]", f"if {value} < 24: i += 1", f"else: {value}, i = long(d, i, 0)", *_within(value, limit)]


def _length(size: str, major: int, limit: Limit) -> list[str]:
    """Read a head of this major type."""
    near = f"if 0 <= {size} < 24: i += 1"
    return [f"{size} = d[i] - {major}", near, f"else: {size}, i = long(d, i, {major})", *_within(size, limit)]


def _within(value: str, limit: Limit) -> list[str]:
    return [] if limit == NO_LIMIT else [f"if not {limit.least} <= {value} <= {limit.most}: raise _Unusual"]


def _unusual(*_: object) -> bytes:
    raise _Unusual


def _uint(value: object) -> bytes:
    if value.__class__ is not int or not 0 <= value <= UINT_MAX:
        raise _Unusual
    if value < 256:
        return _SMALL[value]
    if value < 1 << 16:
        return b"\x19" + value.to_bytes(2, "big")
    return b"\x1a" + value.to_bytes(4, "big") if value < 1 << 32 else b"\x1b" + value.to_bytes(8, "big")


def _bytes_head(value: object) -> bytes:
    if value.__class__ is not bytes:
        raise _Unusual
    size = len(value)
    return _BYTES_HEADS[size] if size < 256 else _long_head(_BYTES, size)


def _text(value: object) -> bytes:
    if value.__class__ is not str:
        raise _Unusual
    text = value.encode()
    size = len(text)
    return (_TEXT_HEADS[size] if size < 256 else _long_head(_TEXT, size)) + text


def _many(values: object, write: Write) -> bytes:
    if not isinstance(values, tuple):
        raise _Unusual
    size = len(values)
    return b"".join((_ARRAY_HEADS[size] if size < 256 else _long_head(_ARRAY, size), *map(write, values)))


def _many_alike(values: object, head: bytes, length: int) -> bytes:
    """Byte strings of one length."""
    if not isinstance(values, tuple):
        raise _Unusual
    size = len(values)
    begin = _ARRAY_HEADS[size] if size < 256 else _long_head(_ARRAY, size)
    if not values:
        return begin
    if {*map(type, values)} != {bytes} or {*map(len, values)} != {length}:
        raise _Unusual
    return b"".join((begin, head, head.join(values)))


def _long(data: bytes, at: int, major: int) -> tuple[int, int]:
    """The argument of a head that does not hold it itself, in its shortest form."""
    code = data[at] - major
    if not 24 <= code <= 27:
        raise _Unusual
    width = 1 << (code - 24)
    end = at + 1 + width
    argument = int.from_bytes(data[at + 1 : end], "big")
    if argument < (24 if width == 1 else 1 << (width * 4)):
        raise _Unusual
    return argument, end


_HELPERS: dict[str, Any] = {
    "_Unusual": _Unusual,
    "unusual": _unusual,
    "uint": _uint,
    "bytes_head": _bytes_head,
    "text": _text,
    "many": _many,
    "many_alike": _many_alike,
    "long": _long,
    "SMALL": _SMALL,
    "NULL": encode(None),
    "TRUE": encode(True),  # the value, not a flag
    "FALSE": encode(False),  # the value, not a flag
    "BOOLEANS": {_TRUE: True, _FALSE: False},
}
