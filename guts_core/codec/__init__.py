"""Canonical bytes: the only encoding that is signed, hashed, stored or sent between nodes."""

from . import kinds as kinds
from .cbor import Value as Value
from .cbor import array_of as array_of
from .cbor import decode as decode
from .cbor import encode as encode
from .records import Family as Family
from .records import all_kinds as all_kinds
from .records import from_bytes as from_bytes
from .records import from_value as from_value
from .records import kind_of as kind_of
from .records import peek as peek
from .records import record as record
from .records import to_bytes as to_bytes
from .records import to_value as to_value
from .shapes import Limit as Limit
from .tags import HASH_BYTES as HASH_BYTES
from .tags import Tag as Tag
from .tags import digest as digest
