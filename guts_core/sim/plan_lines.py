"""Plans as lines of JSON: one for the rates, one for each thing that is to go wrong; strict both ways."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from guts_core.errors import Malformed

from .faults import Plan


def lines_of(plan: Plan) -> list[dict[str, Any]]:
    """The rates first, then every fault."""
    rates: dict[str, Any] = {}
    faults: list[dict[str, Any]] = []
    for name, value in _fields(plan).items():
        if isinstance(value, tuple) and value and all(attrs.has(type(item)) for item in value):
            faults += [{"fault": name, **_plain(item)} for item in value]
        else:
            rates[name] = _plain(value)
    return [{"rates": rates}, *faults]


def plan_of(lines: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan of such lines; raises Malformed."""
    fields: dict[str, Any] = {}
    for line in lines:
        told = dict(line)
        if "rates" in told:
            fields |= told["rates"]
        else:
            fields.setdefault(told.pop("fault"), []).append(told)
    plan: Plan = _built(Plan, fields)
    return plan


def _fields(value: Any) -> dict[str, Any]:
    return {at.name: getattr(value, at.name) for at in attrs.fields(type(value))}


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return {name: _plain(one) for name, one in _fields(value).items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _built(kind: Any, value: Any) -> Any:
    """A value of a type, out of JSON."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return None if value is None else _built(next(one for one in arguments if one is not type(None)), value)
    if attrs.has(kind):
        return _record(kind, value)
    if origin in {tuple, frozenset} and isinstance(value, list):
        if origin is tuple and arguments[-1] is not Ellipsis and len(arguments) != len(value):
            raise Malformed(f"{value} has not {len(arguments)} parts")
        inner = arguments if origin is tuple and arguments[-1] is not Ellipsis else [arguments[0]] * len(value)
        return origin(_built(one, item) for one, item in zip(inner, value, strict=True))
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise Malformed(f"{value!r} stands where {kind} should")


def _record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise Malformed(f"{value!r} is no {kind.__name__}")
    hints, known = typing.get_type_hints(kind), attrs.fields_dict(kind)
    if unknown := sorted(value.keys() - known.keys()):
        raise Malformed(f"a {kind.__name__} of this build has no {unknown[0]!r}")
    # A fault of which there is none has no line.
    none: dict[str, Any] = {name: [] for name in known if name not in value and typing.get_origin(hints[name]) is tuple}
    given = {**none, **value}
    if missing := [name for name, at in known.items() if name not in given and at.default is attrs.NOTHING]:
        raise Malformed(f"a {kind.__name__} of this build needs {missing[0]!r}")
    return kind(**{name: _built(hints[name], item) for name, item in given.items()})
