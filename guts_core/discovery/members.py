"""Who belongs to the network, as the state says: the only keys that an address is ever believed for."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from guts_core.codec import Tag, digest
from guts_core.names import NodeId

from .info import MEMBERS_MAX

# A node that was away for so many epochs may still have its old key, and is helped to catch up.
EPOCHS_ADMITTED = 4


@frozen
class Members:
    """The nodes of the current epoch by their permanent numbers, and the followers that were admitted."""

    validators: Mapping[int, NodeId]
    followers: Mapping[int, NodeId] = field(factory=dict)
    order: tuple[NodeId, ...] = field(init=False)
    digest: bytes = field(init=False)
    numbers: Mapping[NodeId, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Validators, then those that were admitted first: the vector has an end.
        listed = [*sorted(self.validators.items()), *sorted(self.followers.items())]
        numbers = {node: number for number, node in listed[:MEMBERS_MAX]}
        order = tuple(sorted(numbers))
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "digest", digest(Tag.PEER_SET, *order))

    def is_validator(self, node: NodeId) -> bool:
        """Whether it votes in this epoch."""
        return self.numbers.get(node) in self.validators

    def node(self, number: int) -> NodeId | None:
        """The key of a node; None for one that is no member."""
        found = self.validators.get(number) or self.followers.get(number)
        return found if found in self.numbers else None


class Recent:
    """The validators of the epochs that a connection is still taken from, beside the current one."""

    def __init__(self) -> None:
        self._sets: dict[int, Mapping[int, NodeId]] = {}

    def take(self, epoch: int, validators: Mapping[int, NodeId]) -> None:
        """The set of an epoch; the newest one tells which are too old."""
        self._sets[epoch] = validators
        newest = max(self._sets)
        self._sets = {number: one for number, one in self._sets.items() if number >= newest - EPOCHS_ADMITTED}

    def former(self, members: Members) -> dict[NodeId, int]:
        """Keys that are no longer among the members, with the numbers of their nodes."""
        return {
            node: number
            for epoch in sorted(self._sets)
            for number, node in self._sets[epoch].items()
            if node not in members.numbers
        }
