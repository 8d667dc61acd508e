"""Who plays in a world of whole nodes: genesis, the honest, and villains of each kind in turn."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from guts_core.chain.genesis import Genesis, InitialAccount, chain_id, check
from guts_core.codec import Tag, digest
from guts_core.forge.params import Params
from guts_core.forge.records import ValidatorEntry
from guts_core.names import NodeId
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Message, epoch_of
from guts_core.simplex.quorum import FaultModel

from .crypto import KeyRing
from .forge_node import ForgeNode, ForgeReader
from .people import KEYS
from .ports import Store
from .villains import cast as villain_cast
from .villains.false_attester import FalseAttester
from .villains.genuine import is_genuine
from .villains.pack_withholder import PackWithholder
from .villains.twins import Twins
from .villains.villain import Deeds, Villain

# Those of agreement, but for twins, and two of the path of a push.
KINDS: tuple[type[Villain], ...] = (
    *(kind for kind in villain_cast.KINDS if kind is not Twins),
    PackWithholder,
    FalseAttester,
)
# A little before the first moment of a simulated wall clock, whatever its skew: a day's epoch outlasts block 1.
_GENESIS_MS = 1_699_999_990_000
# Longer than any simulated run: epochs end in those that ask for it.
DAY_MS = 86_400_000
_PARAMS = Params(delta_ms=50, retry_ms=250, heartbeat_ms=1000)


def a_genesis(ring: KeyRing, size: int, fault_model: FaultModel, epoch_ms: int = DAY_MS) -> Genesis:
    """A network whose vote keys are the ring's first, node keys the next, operators' keys those after."""
    keys = ring.public_keys
    accounts = tuple(
        InitialAccount(f"operator-{index}", keys[2 * size + index], digest(Tag.TRACE, b"%d" % index), is_operator=True)
        for index in range(size)
    )
    validators = tuple(
        ValidatorEntry(index, keys[index], NodeId(keys[size + index]), accounts[index].id, f"node-{index}")
        for index in range(size)
    )
    params = evolve(_PARAMS, epoch_ms=epoch_ms)
    genesis = Genesis("simulated", _GENESIS_MS, fault_model, params, validators, accounts, ())
    check(genesis)
    return genesis


class ForgeCast:
    """Whole nodes, and villains of these kinds."""

    def __init__(
        self,
        seed: int,
        size: int,
        fault_model: FaultModel,
        kinds: Mapping[int, type[Villain]],
        *,
        epoch_ms: int = DAY_MS,
        spare_keys: int = 0,
    ) -> None:
        self.size, self.ring = size, KeyRing(seed, 3 * size + KEYS + spare_keys)
        self.genesis = a_genesis(self.ring, size, fault_model, epoch_ms)
        self.chain_id = chain_id(self.genesis)
        self.reader = ForgeReader()
        self._committees: dict[int, Committee] = {}
        self.turn(0, self.genesis.vote_keys)
        self.kinds = dict(kinds)
        self.deeds = {index: Deeds(index, size) for index in kinds}

    @property
    def villains(self) -> frozenset[int]:
        """Nodes that are not honest."""
        return frozenset(self.kinds)

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> ForgeNode:
        """A new process of a node, twisted if it is a villain's."""
        node = ForgeNode(self.genesis, index, self.ring, self.reader, records, stored)
        return self.twisted(node)

    def twisted(self, node: ForgeNode) -> ForgeNode:
        """The same node, if it is a villain's with what it does instead."""
        if node.index in self.kinds:
            villain = self.kinds[node.index](node, self.deeds[node.index])
            node.twist, node.overhear = villain.twist_now, villain.overhear
        return node

    def turn(self, epoch: int, vote_keys: tuple[bytes, ...]) -> None:
        """These keys vote in an epoch."""
        self._committees[epoch] = Committee(self.chain_id, epoch, vote_keys, self.genesis.fault_model, self.ring)

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        return self.reader.agreement(data)

    def is_signed(self, message: Message, /) -> bool:
        """Whether a villain's message consists of genuine votes."""
        committee = self._committees.get(epoch_of(message) or 0)
        return committee is not None and is_genuine(message, committee)

    def gives(self, holder: int, asker: int) -> bool:
        """Whether this node gives a pack that it holds to that one."""
        kind = self.kinds.get(holder)
        return kind is None or kind.gives_packs(holder, asker, self.size)
