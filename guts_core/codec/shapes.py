"""What a field's type says about its canonical form: the one reading of annotations that coders are made from."""

from __future__ import annotations

import types
import typing
from enum import IntEnum
from functools import cache
from typing import Any, TypeAlias, Union

import attrs
from attrs import frozen

from guts_core.codec.cbor import UINT_MAX


@frozen
class Limit:
    """Bounds of a field: exact or least and most length (bytes, UTF-8 bytes, items) or value (int)."""

    most: int
    least: int = 0

    @classmethod
    def exactly(cls, size: int) -> Limit:
        """A field of one possible size."""
        return cls(most=size, least=size)


NO_LIMIT = Limit(most=UINT_MAX)


@frozen
class Scalar:
    """An int, bytes, str or bool within bounds."""

    kind: type
    limit: Limit


@frozen
class Choice:
    """A member of an IntEnum, written as its number."""

    kind: type[IntEnum]


@frozen
class Nested:
    """A record in a record."""

    cls: type


@frozen
class OneOf:
    """One of several records, told apart by their kinds."""

    members: tuple[type, ...]


@frozen
class Maybe:
    """Null, or the inner shape."""

    inner: Shape


@frozen
class Many:
    """An array of equal shapes."""

    item: Shape
    limit: Limit


Shape: TypeAlias = Scalar | Choice | Nested | OneOf | Maybe | Many


@cache
def shapes_of(cls: type) -> tuple[tuple[str, Shape], ...]:
    """The name and shape of each field of a record class, in order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((field.name, _shape(hints[field.name], f"{cls.__name__}.{field.name}")) for field in attrs.fields(cls))


def _shape(hint: Any, where: str) -> Shape:
    hint, limit = _bare(hint)
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(typing.get_args(hint), where)
    if origin is tuple:
        item, *rest = typing.get_args(hint)
        if rest != [Ellipsis]:
            raise TypeError(f"{where}: only tuple[T, ...] has a canonical form")
        return Many(_shape(item, where), limit)
    if isinstance(hint, type):
        if hasattr(hint, "__record__"):
            return Nested(hint)
        if issubclass(hint, IntEnum):
            return Choice(hint)
        if hint in (int, bytes, str, bool):
            return Scalar(hint, limit)
    raise TypeError(f"{where}: {hint!r} has no canonical form")


def _bare(hint: Any) -> tuple[Any, Limit]:
    """The type without its annotations and names, and the innermost limit among them."""
    limit = NO_LIMIT
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            limit = next((m for m in hint.__metadata__ if isinstance(m, Limit)), limit)
            hint = hint.__origin__
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return hint, limit


def _union(args: tuple[Any, ...], where: str) -> Shape:
    members = [arg for arg in args if arg is not type(None)]
    if len(members) == 1:
        inner = _shape(members[0], where)
    else:
        assert all(hasattr(member, "__record__") for member in members), f"{where}: unions are of records"
        inner = OneOf(tuple(members))
    return Maybe(inner) if type(None) in args else inner
