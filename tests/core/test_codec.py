"""The canonical encoding: one value, one encoding, and nothing else is accepted."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.chain.transaction import Text, Via
from guts_core.codec import Family, Value, array_of, decode, encode, from_bytes, kind_of, to_bytes
from guts_core.codec.cbor import DEPTH_MAX, UINT_MAX
from guts_core.errors import Malformed
from guts_core.forge.actions import RevokeCredential, SetDefaultBranch
from guts_core.forge.params import Params

SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(0, UINT_MAX) | st.binary(max_size=300) | st.text(max_size=100)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=30).map(tuple), max_leaves=40
)
# Heads at both sides of every boundary of their length.
BOUNDARIES = (0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, UINT_MAX)
EXAMPLE = (1, (b"\x00" * 30, "naïve \U0001f600", True, False, None, UINT_MAX), (), 70_000, b"x" * 300)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


@given(VALUES)
def test_what_is_encoded_is_what_is_decoded(value: Value) -> None:
    """A value survives, with its types: True does not come back as 1."""
    back = decode(encode(value))

    assert repr(back) == repr(value)


@given(VALUES)
def test_cbor2_writes_and_reads_the_same_bytes(value: Value) -> None:
    """Ours is CBOR: the oracle is another implementation in its canonical mode."""
    ours = encode(value)

    assert ours == cbor2.dumps(value, canonical=True)
    assert _tuples(cbor2.loads(ours)) == value


@given(st.lists(VALUES, max_size=30))
def test_an_array_is_put_together_from_what_is_encoded(values: list[Value]) -> None:
    """Where the parts are at hand as bytes, the array of them is no other encoding."""
    assert array_of([encode(value) for value in values]) == encode(tuple(values))


@given(st.binary(max_size=60))
def test_whatever_is_accepted_is_the_one_encoding(data: bytes) -> None:
    """Any bytes are either refused or exactly what the encoder writes for the value they give."""
    try:
        value = decode(data)
    except Malformed:
        return

    assert encode(value) == data


@given(VALUES, st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_never_gives_a_second_encoding(value: Value, at: int, byte: int) -> None:
    """Near misses of real encodings find what random bytes do not."""
    data = bytearray(encode(value))
    data[at % len(data)] = byte
    try:
        changed = decode(bytes(data))
    except Malformed:
        return

    assert encode(changed) == bytes(data)


@pytest.mark.parametrize("number", BOUNDARIES)
def test_heads_are_as_short_as_can_be(number: int) -> None:
    """RFC 8949, 4.2.1: the shortest head; each longer one is another encoding and refused."""
    data = encode(number)

    assert data == cbor2.dumps(number)
    for width, head in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if len(data) <= width:
            with pytest.raises(Malformed, match="shortest"):
                decode(bytes((head,)) + number.to_bytes(width, "big"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("negative integer", b"\x20"),
        ("indefinite bytes", b"\x5f\x41a\xff"),
        ("indefinite text", b"\x7f\x61a\xff"),
        ("indefinite array", b"\x9f\x01\xff"),
        ("map", b"\xa1\x01\x02"),
        ("empty map", b"\xa0"),
        ("tag", b"\xc0\x61a"),
        ("half float", b"\xf9\x00\x00"),
        ("double", b"\xfb" + bytes(8)),
        ("undefined", b"\xf7"),
        ("simple value", b"\xf8\xff"),
        ("break", b"\xff"),
        ("reserved length 28", b"\x1c"),
        ("reserved length 30", b"\x5e"),
        ("long length of a short string", b"\x58\x01a"),
        ("long count of a short array", b"\x98\x01\x01"),
        ("text that is not UTF-8", b"\x62\xc3\x28"),
        ("overlong UTF-8", b"\x62\xc0\x80"),
        ("a surrogate in UTF-8", b"\x63\xed\xa0\x80"),
        ("two values", b"\x01\x01"),
        ("nothing", b""),
        ("string beyond the input", b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("array beyond the input", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("array with one item short", b"\x82\x01"),
    ],
)
def test_bad_J_05_other_encodings_are_refused(name: str, data: bytes) -> None:
    """Two encodings of one value would be two ids of one thing."""
    with pytest.raises(Malformed):
        decode(data)


def test_every_truncation_is_refused() -> None:
    """A stream cut anywhere never passes for a shorter message."""
    data = encode(EXAMPLE)

    assert decode(data) == EXAMPLE
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode(data[:end])


def test_depth_is_bounded_both_ways() -> None:
    """What we write we can read, and a tower of brackets never reaches the interpreter's stack."""
    value: Value = ()
    for _ in range(DEPTH_MAX - 1):
        value = (value,)

    assert decode(encode(value)) == value
    with pytest.raises(ValueError, match="nested"):
        encode((value,))
    with pytest.raises(Malformed, match="nested"):
        decode(b"\x81" * (DEPTH_MAX + 1) + b"\x01")
    with pytest.raises(Malformed, match="nested"):
        decode(b"\x81" * 100_000)


@pytest.mark.parametrize("value", [-1, UINT_MAX + 1, 1.0, {}, {1: 2}, {1}, bytearray(b"x"), object()])
def test_what_has_no_encoding_is_refused(value: Any) -> None:
    """A programmer's mistake is an error here, not a surprise on another node."""
    with pytest.raises((TypeError, ValueError)):
        encode(value)


def _via() -> list[Any]:
    return [kind_of(Via), 0, b"c" * 32, None, 2]


def test_a_record_is_an_array_with_kind_and_version() -> None:
    """The layout that every other implementation has to follow."""
    assert decode(to_bytes(from_bytes(Via, encode(_via())))) == tuple(_via())


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, kind_of(Text)),
        (0, True),
        (1, 1),
        (1, False),
        (2, b"c" * 31),
        (2, "c" * 32),
        (3, b""),
        (3, 0),
        (4, 3),
        (4, True),
    ],
)
def test_a_field_of_another_kind_is_refused(at: int, value: Any) -> None:
    """Wrong kind, version, type, length or member: each by itself is enough; a boolean is no integer."""
    fields = _via()
    fields[at] = value

    with pytest.raises(Malformed):
        from_bytes(Via, encode(fields))


@pytest.mark.parametrize("fields", [_via()[:-1], [*_via(), 0], []])
def test_a_record_has_exactly_its_fields(fields: list[Any]) -> None:
    """A field too many would be a place to hide a second encoding in."""
    with pytest.raises(Malformed):
        from_bytes(Via, encode(fields))


def test_a_record_is_no_scalar() -> None:
    """What is not an array at all is told apart too."""
    with pytest.raises(Malformed):
        from_bytes(Via, encode(7))


def test_limits_count_utf8_bytes() -> None:
    """A limit of characters would let four times as much through."""
    fits, too_long = "ä" * 127, "ä" * 128
    build = SetDefaultBranch(repo=b"r" * 32, branch=fits)  # type: ignore[arg-type]  # ids are NewTypes of bytes

    assert from_bytes(SetDefaultBranch, to_bytes(build)) == build
    with pytest.raises(Malformed, match="outside"):
        from_bytes(SetDefaultBranch, encode((kind_of(SetDefaultBranch), 0, b"r" * 32, too_long)))


def test_a_family_takes_only_its_members() -> None:
    """A message of another protocol is refused before its fields are looked at."""
    family = Family((RevokeCredential, Params))
    member = RevokeCredential(b"c" * 32)  # type: ignore[arg-type]  # ids are NewTypes of bytes

    assert family.from_bytes(to_bytes(member)) == member
    assert family.from_bytes(to_bytes(Params())) == Params()
    for stranger in (encode(_via()), encode(1), encode(()), encode(("x",)), encode((True,))):
        with pytest.raises(Malformed):
            family.from_bytes(stranger)
