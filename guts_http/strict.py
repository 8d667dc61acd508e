"""JSON at the edge: exactly the types that are declared, every error at once (``dependencies.md`` 3)."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError

from .problems import BadRequest, FieldError, InvalidFields

T = TypeVar("T")


def _exactly(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{_NAMES[kind]} expected")
    return value


_NAMES: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


def _converter(*, forbid: bool) -> Converter:
    converter = Converter(forbid_extra_keys=forbid)
    for kind in _NAMES:
        converter.register_structure_hook(kind, _exactly)
    return converter


_IGNORING = _converter(forbid=False)
_FORBIDDING = _converter(forbid=True)


def structured(cls: type[T], body: bytes, resource: str, *, forbid_unknown: bool) -> T:
    """The body as this class; BadRequest when it is no JSON object, InvalidFields with all that is wrong with it."""
    value = _object(body)
    try:
        return (_FORBIDDING if forbid_unknown else _IGNORING).structure(value, cls)
    except ClassValidationError as group:
        raise InvalidFields(*_field_errors(group, resource)) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        # Decoded here: json itself would guess at UTF-16, and let halves of characters pass.
        value = json.loads(body.decode() or "{}", object_pairs_hook=_once)
        _ = json.dumps(value, ensure_ascii=False).encode()  # nor may an escape be one: such a text has no bytes
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Problems parsing JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("Body should be a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """E04: a name that stands twice means two things to two readers."""
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"{name[:60]!a} stands twice")
        seen[name] = value
    return seen


def _field_errors(group: ClassValidationError, resource: str) -> list[FieldError]:
    named, unnamed = group.group_exceptions()
    found = [_field_error(error, note.name, resource) for error, note in named]
    for error in unnamed:
        assert isinstance(error, ForbiddenExtraKeysError)
        found += [
            FieldError(resource, name, "invalid", f"{name[:60]!a} is unknown") for name in sorted(error.extra_fields)
        ]
    return found


def _field_error(error: Exception, name: str, resource: str) -> FieldError:
    if isinstance(error, KeyError):
        return FieldError(resource, name, "missing_field", f"{name} is missing")
    return FieldError(resource, name, "invalid", f"{name}: {_words(error)}")


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)[:200]
