"""Any bit that a disk changes in a page of the state tree is found, and told as what it is."""

from __future__ import annotations

import pytest

from guts_core.chain.audit import audit_page
from guts_core.errors import Corrupt
from guts_core.state.nodes import TREE_KEY_BITS, TREE_KEY_BYTES
from guts_core.state.pages import build, seal
from guts_core.state.stored import ROOT_PATH, Item, path_of

# Neighbours that share from no bit to all but the last one.
LEAVES: list[Item] = [
    (bytes([first]) + bytes(TREE_KEY_BYTES - 2) + bytes([last]), TREE_KEY_BITS, bytes([first ^ last]) * 32)
    for first, last in ((1, 0), (1, 1), (1, 2), (9, 0), (128, 0), (255, 255))
]


def is_found(path: bytes, raw: bytes) -> bool:
    """Whether the audit of this page raises what it should."""
    try:
        audit_page(path, raw, lambda _: None)
    except Corrupt:
        return True
    return False


def test_bad_page_with_any_bit_changed_is_found() -> None:
    raw = seal(build(LEAVES, None, ()), ROOT_PATH)
    assert not is_found(ROOT_PATH, raw)

    for at in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[at // 8] ^= 1 << at % 8
        assert is_found(ROOT_PATH, bytes(damaged)), f"bit {at}"


def test_bad_page_below_the_root_with_any_bit_changed_or_cut_anywhere_is_found() -> None:
    """Its keys are stored without what its path tells."""
    items = LEAVES[:3]
    page = build(items, None, ())
    path = path_of(items[0][0], page.shared[page.top])
    raw = seal(build(items, None, ()), path)
    assert not is_found(path, raw)

    for at in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[at // 8] ^= 1 << at % 8
        assert is_found(path, bytes(damaged)), f"bit {at}"
    for length in range(len(raw)):
        assert is_found(path, raw[:length]), f"{length} bytes"


@pytest.mark.parametrize("at", range(2 * 8 + 8))
def test_bad_page_under_another_path_is_found(at: int) -> None:
    items = LEAVES[:3]
    path = path_of(items[0][0], build(items, None, ()).shared[-1])
    page = seal(build(items[1:], None, ()), path_of(items[1][0], build(items[1:], None, ()).shared[0]))
    damaged = bytearray(path)
    damaged[at // 8] ^= 1 << at % 8
    assert is_found(bytes(damaged), page)
