"""The days between which a certificate is good, read from its DER: a walk to one field, no judgement."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

from guts_core.errors import Invalid

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED = 0x30, 0xA0, 0x17, 0x18
# RFC 5280: two digits of a year below 50 are of this century.
_CENTURY = 50


def validity(path: Path) -> tuple[datetime, datetime]:
    """Not before, not after, of the first certificate in a PEM file; raises Invalid."""
    found = _PEM.search(path.read_text(errors="replace"))
    if found is None:
        raise Invalid(f"{path} holds no certificate")
    try:
        return _validity(ssl.PEM_cert_to_DER_cert(found[0]))
    except (ValueError, IndexError):
        raise Invalid(f"{path} holds a damaged certificate") from None


def _validity(der: bytes) -> tuple[datetime, datetime]:
    body = _open(_open(der, _SEQUENCE)[0], _SEQUENCE)[0]  # tbsCertificate
    if body[0] == _VERSION:
        body = _open(body, _VERSION)[1]
    for _ in ("serial number", "algorithm", "issuer"):
        body = _open(body, body[0])[1]
    dates = _open(body, _SEQUENCE)[0]
    begin, rest = _time(dates)
    return begin, _time(rest)[0]


def _open(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """What one element holds, and what follows it."""
    if data[0] != tag:
        raise ValueError(f"tag {data[0]:x}")
    size, at = data[1], 2
    if size & 0x80:
        at += size & 0x7F
        size = int.from_bytes(data[2:at], "big")
    if len(data) < at + size:
        raise ValueError("cut short")
    return data[at : at + size], data[at + size :]


def _time(data: bytes) -> tuple[datetime, bytes]:
    tag = data[0]
    if tag not in (_UTC_TIME, _GENERALIZED):
        raise ValueError("no time")
    text, rest = _open(data, tag)
    digits = text.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:
        digits = ("20" if int(digits[:2]) < _CENTURY else "19") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC), rest
