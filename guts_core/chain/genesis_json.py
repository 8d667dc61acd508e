"""
The JSON faces of genesis, drafts and entries: for people to read, mail and compare.

Strict both ways: unknown or repeated names, other types and broken limits are refused; bytes are
lower-case hex, enumerations are words. What is hashed is never this text.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any, TypeVar, cast

from attrs import field, frozen
from cattrs import Converter
from cattrs.errors import ForbiddenExtraKeysError

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Invalid, Malformed
from guts_core.forge.params import Followers, Registration
from guts_core.names import ChainId, NodeId
from guts_core.simplex.quorum import FaultModel

from .genesis import ADDRESS_BYTES_MAX, Draft, Entry, EntryFile, Genesis, chain_id, check

T = TypeVar("T")
# 128 validators, their entries and 1,000 accounts take under one MiB of JSON.
FILE_BYTES_MAX = 4 << 20


@frozen
class GenesisFile:
    """A sealed genesis, where its nodes may be found, and the signed entries it was made from."""

    genesis: Genesis
    addresses: dict[str, str] = field(factory=dict)  # node key in hex -> host:port; hints only
    entries: tuple[EntryFile, ...] = ()

    @property
    def chain_id(self) -> ChainId:
        """The network's id."""
        return chain_id(self.genesis)

    def address_of(self, node: NodeId) -> str | None:
        """Where a node may be found, if anybody said so."""
        return self.addresses.get(node.hex())


@frozen
class DraftFile:
    """A genesis in the making: what ``genesis new`` wrote and ``genesis add`` added."""

    draft: Draft
    entries: tuple[EntryFile, ...] = ()


def to_json(value: GenesisFile | DraftFile | EntryFile) -> str:
    """The text of a file."""
    return json.dumps(_CONVERTER.unstructure(value), indent=2, ensure_ascii=True) + "\n"


def genesis_from_json(text: str | bytes) -> GenesisFile:
    """A checked genesis file; raises Invalid saying what is wrong with it."""
    file = _structure(GenesisFile, text)
    # Through canonical bytes: lengths and counts are judged in one place.
    _through_bytes(file.genesis)
    check(file.genesis)
    nodes = {validator.node_key.hex() for validator in file.genesis.validators}
    for node, address in file.addresses.items():
        if node not in nodes:
            raise Invalid(f"genesis file: address for {node[:64]!r}, which is no node of this genesis")
        check_address(address)
    return file


def draft_from_json(text: str | bytes) -> DraftFile:
    """A draft file; its entries are judged when it is sealed."""
    file = _structure(DraftFile, text)
    for entry in file.entries:
        _through_bytes(entry.entry)
    return file


def entry_from_json(text: str | bytes) -> EntryFile:
    """An entry file; its signatures are judged by ``check_entry``."""
    file = _structure(EntryFile, text)
    _through_bytes(file.entry)
    if file.entry.address is not None:
        check_address(file.entry.address)
    return file


def check_address(address: str) -> None:
    """Raises Invalid unless this is host:port (an IPv6 host in brackets)."""
    host, colon, port = address.rpartition(":")
    bare = ":" not in host or (host.startswith("[") and host.endswith("]"))
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not (colon and host and bare and digits and 0 < int(port) < 1 << 16 and len(address) <= ADDRESS_BYTES_MAX):
        raise Invalid(f"address {address[:100]!r} is not host:port")


def addresses_of(entries: tuple[EntryFile, ...]) -> dict[str, str]:
    """The address hints of entries, as a genesis file carries them."""
    return {file.entry.node_key.hex(): file.entry.address for file in entries if file.entry.address is not None}


def _through_bytes(value: Genesis | Entry) -> None:
    try:
        from_bytes(type(value), to_bytes(value))
    except (Malformed, ValueError) as error:
        raise Invalid(f"{type(value).__name__.lower()} file: {error}") from error


def _structure(cls: type[T], text: str | bytes) -> T:
    what = cls.__name__.removesuffix("File").lower()
    if len(text) > FILE_BYTES_MAX:
        raise Invalid(f"{what} file: larger than {FILE_BYTES_MAX} bytes")
    try:
        value = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
        found = _CONVERTER.structure(value, cls)
    except (AttributeError, ForbiddenExtraKeysError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Invalid(f"{what} file: {_words(error)}") from error
    # Defaults may differ between builds, and with them the chain id: nothing may be left out.
    if _CONVERTER.unstructure(found) != value:
        raise Invalid(f"{what} file: a field is left out or written in another form")
    return found


def _words(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
        return f"not JSON: {str(error)[:300]}"
    if isinstance(error, AttributeError):
        return "something is not the object it should be"
    return str(error)[:300]


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=False)
    for plain in (int, str, bool):
        converter.register_structure_hook(plain, _exactly)
    converter.register_structure_hook(bytes, _from_hex)
    converter.register_unstructure_hook(bytes, _to_hex)
    # One by one: as subclasses of int they would be taken for numbers.
    for words in (FaultModel, Registration, Followers):
        converter.register_structure_hook(words, _from_word)
        converter.register_unstructure_hook(words, _to_word)
    converter.register_structure_hook_func(lambda hint: hint == dict[str, str], _text_map)
    return converter


def _exactly(value: Any, kind: type) -> Any:
    """Types as they stand: no "1" for 1, no 1 for true."""
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:60]!r} is not of type {kind.__name__}")
    if isinstance(value, int) and value < 0:
        raise TypeError(f"{value} is negative")
    return value


def _from_hex(value: Any, _kind: type) -> bytes:
    if type(value) is not str:
        raise TypeError(f"{str(value)[:60]!r} is not hexadecimal text")
    data = bytes.fromhex(value)
    if data.hex() != value:
        raise ValueError(f"{value[:60]!r} is not in lower-case hexadecimal")
    return data


def _to_hex(value: bytes) -> str:
    return value.hex()


def _from_word(value: Any, kind: type) -> IntEnum:
    members = {member.name.lower(): member for member in cast("type[IntEnum]", kind)}
    if type(value) is not str or value not in members:
        raise ValueError(f"{str(value)[:60]!r} is none of {', '.join(sorted(members))}")
    return members[value]


def _to_word(value: IntEnum) -> str:
    return value.name.lower()


def _text_map(value: Any, _kind: type) -> dict[str, str]:
    if type(value) is not dict:
        raise TypeError("addresses are not an object")
    return {key: _exactly(text, str) for key, text in value.items()}


_CONVERTER = _converter()
