"""Overlays over a store answer as a plain dict with the same writes would."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain.memory import MemoryStore
from guts_core.state.view import Overlay
from tests.properties.state_commits import commit_of

keys = st.lists(st.sampled_from([0, 1, 254]), min_size=1, max_size=3).map(bytes)
writes = st.dictionaries(keys, st.none() | st.binary(max_size=1), max_size=12)


@given(st.lists(writes, min_size=1, max_size=4), st.binary(max_size=2), st.binary(max_size=3), st.integers(-1, 8))
@settings(max_examples=400, deadline=None)
def test_a_scan_through_overlays_is_the_scan_of_the_sum(
    layers: list[dict[bytes, bytes | None]], prefix: bytes, after: bytes, limit: int
) -> None:
    """Tombstones hide, newer values win, limits count what is visible, in bytewise order."""
    store = MemoryStore()
    store.commit(commit_of(1, records=layers[0]))
    model = {key: value for key, value in layers[0].items() if value is not None}
    view: MemoryStore | Overlay = store
    for layer in layers[1:]:
        view = _above(view, layer)
        model = {key: value for key, value in (model | layer).items() if value is not None}

    expected = sorted(pair for pair in model.items() if pair[0].startswith(prefix) and pair[0] > after)
    assert expected[: max(limit, 0)] == view.scan(prefix, after, limit)
    assert all(view.get(key) == model.get(key) for layer in layers for key in layer)


@given(writes, writes, writes)
def test_absorbing_a_child_is_doing_its_writes(
    base: dict[bytes, bytes | None], ours: dict[bytes, bytes | None], child: dict[bytes, bytes | None]
) -> None:
    """A transaction that went well becomes part of its block, one that did not leaves no trace."""
    store = MemoryStore()
    store.commit(commit_of(1, records=base))
    overlay = _above(store, ours)
    before = overlay.scan(b"")
    above = _above(overlay, child)
    seen = above.scan(b"")

    assert before == overlay.scan(b"")
    overlay.absorb(above)
    assert seen == overlay.scan(b"")


def _above(view: MemoryStore | Overlay, layer: dict[bytes, bytes | None]) -> Overlay:
    overlay = Overlay(view)
    for key, value in layer.items():
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)
    return overlay
