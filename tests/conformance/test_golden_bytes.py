"""
Golden bytes: one example of every record that is stored, signed, hashed or sent.

Examples are built from the field types, so a new record is covered by existing; it is approved, and
a change of an old one is, by running this file with ``--approve`` and reading the difference:

    python -m tests.conformance.test_golden_bytes --approve
"""

from __future__ import annotations

import json
import pkgutil
import sys
import types
import typing
from enum import IntEnum
from hashlib import shake_128
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest

import guts_core
from guts_core.chain.transaction import Text
from guts_core.codec import Limit, all_kinds, decode, encode, from_bytes, kinds, to_bytes
from guts_core.errors import Malformed

GOLDEN = Path(__file__).with_name("golden_bytes.json")
TEXTS = Path(__file__).with_name("text_commitments.json")
# Long enough to need a two-byte head, short enough to read.
FREE_BYTES = 40


def _all_records() -> dict[int, type]:
    for module in pkgutil.walk_packages(guts_core.__path__, "guts_core."):
        import_module(module.name)
    return {kind: cls for kind, cls in all_kinds().items() if cls.__module__.startswith("guts_core.")}


RECORDS = _all_records()


def full(cls: type) -> Any:
    """An example with everything present: every member of every union, two items where there may be two."""
    return _example(cls, present=True)


def bare(cls: type) -> Any:
    """An example with as little as is legal."""
    return _example(cls, present=False)


def _example(cls: type, *, present: bool) -> Any:
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(
        *[_value(hints[field.name], f"{cls.__name__}.{field.name}", None, present) for field in attrs.fields(cls)]
    )


def _value(hint: Any, where: str, limit: Limit | None, present: bool) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        found = next((item for item in hint.__metadata__ if isinstance(item, Limit)), limit)
        return _value(hint.__origin__, where, found, present)
    if isinstance(hint, typing.NewType):
        return _value(hint.__supertype__, where, limit, present)
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        if type(None) in members and not present:
            return None
        return _value(next(m for m in members if m is not type(None)), where, limit, present)
    if origin is tuple:
        return _items(typing.get_args(hint)[0], where, limit, present)
    if hasattr(hint, "__record__"):
        return _example(hint, present=present)
    return _scalar(hint, where, limit, present)


def _items(hint: Any, where: str, limit: Limit | None, present: bool) -> tuple[Any, ...]:
    least, most = (limit.least, limit.most) if limit else (0, 1 << 16)
    bare_hint = hint.__origin__ if typing.get_origin(hint) is typing.Annotated else hint
    members = [m for m in typing.get_args(bare_hint) if hasattr(m, "__record__")] if _is_union(bare_hint) else [hint]
    if not present:
        return tuple(_value(members[0], f"{where}[{at}]", None, False) for at in range(least))
    wanted = members if len(members) > 1 else members * max(2, least)
    return tuple(_value(member, f"{where}[{at}]", None, True) for at, member in enumerate(wanted[:most]))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _scalar(hint: type, where: str, limit: Limit | None, present: bool) -> Any:
    least, most = (limit.least, limit.most) if limit else (0, (1 << 64) - 1)
    stream = shake_128(where.encode()).digest(1024)
    if issubclass(hint, IntEnum):
        members = list(hint)
        return members[stream[0] % len(members)] if present else members[0]
    if hint is bool:
        return present
    if hint is int:
        return max(least, min(most, int.from_bytes(stream[: 1 + stream[0] % 8], "big"))) if present else least
    size = max(least, min(most, FREE_BYTES)) if present else least
    if hint is bytes:
        return stream[:size]
    assert hint is str, f"{where}: {hint!r}"
    return ("ä" + where + "~" * size).encode()[:size].decode() if size > 1 else "~" * size


def examples() -> dict[str, dict[str, Any]]:
    """What the golden file holds, by record name."""
    return {
        RECORDS[kind].__name__: {
            "kind": kind,
            "full": to_bytes(full(RECORDS[kind])).hex(),
            "bare": to_bytes(bare(RECORDS[kind])).hex(),
        }
        for kind in sorted(RECORDS)
    }


def _golden() -> dict[str, dict[str, Any]]:
    stored: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())
    return stored


@pytest.mark.parametrize("kind", sorted(RECORDS), ids=lambda kind: RECORDS[kind].__name__)
def test_the_bytes_are_the_approved_ones(kind: int) -> None:
    """A changed byte is another network: it happens on purpose, with --approve, or not at all."""
    name = RECORDS[kind].__name__
    approved = _golden().get(name)

    assert approved is not None, f"{name} has no golden bytes: look at them and approve"
    assert approved["kind"] == kind
    assert approved["full"] == to_bytes(full(RECORDS[kind])).hex()
    assert approved["bare"] == to_bytes(bare(RECORDS[kind])).hex()


@pytest.mark.parametrize("kind", sorted(RECORDS), ids=lambda kind: RECORDS[kind].__name__)
def test_every_record_reads_back_and_in_no_other_form(kind: int) -> None:
    """Round trip; every truncation, an extra byte, an extra field and a foreign version are refused."""
    cls = RECORDS[kind]
    for example in (full(cls), bare(cls)):
        data = to_bytes(example)
        value = decode(data)
        assert isinstance(value, tuple)

        assert from_bytes(cls, data) == example
        assert value[:2] == cls.__record__  # type: ignore[attr-defined]  # set by @record
        broken = [data[:end] for end in range(0, len(data), 1 + len(data) // 64)]
        broken += [data + b"\0", encode((*value, 0)), encode(value[:-1]), encode((value[0], 99, *value[2:]))]
        for wrong in broken:
            with pytest.raises(Malformed):
                from_bytes(cls, wrong)


def test_no_golden_bytes_are_left_over() -> None:
    """A record that disappeared leaves its number taken for ever; its bytes are struck off on purpose."""
    assert set(_golden()) == {cls.__name__ for cls in RECORDS.values()}


def test_numbers_stand_for_one_thing_each() -> None:
    """``kinds.py`` is the only list; a number that is used twice there would be found by no test else."""
    numbers = [value for name, value in vars(kinds).items() if name.isupper()]

    assert len(numbers) == len(set(numbers))
    assert set(RECORDS) <= set(numbers)


def text_vectors() -> list[dict[str, str]]:
    """Texts of the sidecar with their commitments: H(text tag, salt || UTF-8 bytes)."""
    texts = ("", "a", "A description.", "naïve \U0001f600 \u202e", "line\nline\r\n", "x" * 1000)
    found = []
    for at, text in enumerate(texts):
        salt = shake_128(f"salt {at}".encode()).digest(32)
        made = Text(salt, text)
        found.append(
            {"salt": salt.hex(), "text": text, "commitment": made.commitment.hex(), "bytes": to_bytes(made).hex()}
        )
    return found


def test_the_sidecar_text_format_is_fixed() -> None:
    """A text that cannot be matched to its commitment any more is lost, however well it is kept."""
    stored = json.loads(TEXTS.read_text())

    assert stored == text_vectors()
    for vector in stored:
        assert from_bytes(Text, bytes.fromhex(vector["bytes"])).commitment.hex() == vector["commitment"]


def _approve() -> None:
    GOLDEN.write_text(json.dumps(examples(), indent=1) + "\n")
    TEXTS.write_text(json.dumps(text_vectors(), indent=1) + "\n")


if __name__ == "__main__" and "--approve" in sys.argv:
    _approve()
