"""
Helping and being helped (rules 8 and 9; ``consensus.md`` 1.10).

Two needs, kept apart: a certificate brings a node to the others' view at once; the blocks it
lacks are asked for on a timer of its own and with every answer, so that a healthy cluster (whose
views never time out) catches a laggard up like any other. Blocks are walked back by hash from a
finalized one; when more is missing than may be held, only a hash per answer is remembered, and
the way forward asks again from those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guts_core.codec import to_bytes
from guts_core.names import BlockHash

from .ancestry import parent_for, unknown_view, unproven_view
from .blocks import Held
from .bounds import (
    ASKED_MAX,
    CERTIFICATE_BYTES_MAX,
    FUTURE_VIEWS_MAX,
    SUPPLY_BYTES_MAX,
    SYNC_BLOCKS_MAX,
    SYNC_BYTES_MAX,
)
from .budget import Sort
from .certificates import signers_of
from .messages import (
    FETCH_WANT_MAX,
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    SUPPLY_BLOCKS_MAX,
    SUPPLY_CERTIFICATES_MAX,
    Certificate,
    Fetch,
    Message,
    SuppliedBlock,
    Supply,
)
from .state import Rule, State
from .views import proposes_at


def retry(s: State) -> None:
    """Rule 8: say own votes of this view again, and what admits others to it."""
    s.fired[Rule.RETRY] += 1
    s.retry_at = s.now.monotonic + s.config.retry_us
    for vote in s.round(s.view).mine.values():
        s.send(None, vote)
    before = s.seen(s.view - 1)
    best = None
    if before is not None:
        held = before.certificates
        best = held.get(FINALIZE) or held.get(NULLIFY) or held.get(NOTARIZE)
    elif s.newest is not None and s.newest.view == s.view - 1:
        best = s.newest
    if best is not None:
        s.send(None, best)


def help_peer(s: State, peer: int, view: int) -> None:
    """Rule 9: a peer is behind: the certificates that ended its view and our newest finalization."""
    if not _may_help(s, peer):
        return
    s.fired[Rule.HELP] += 1
    held = s.seen(view)
    for certificate in held.certificates.values() if held else ():
        s.send(peer, certificate)
    newest = _newest_above(s, view - 1)
    if newest is not None:
        s.send(peer, newest)


def _may_help(s: State, peer: int) -> bool:
    if s.now.monotonic - s.helped.get(peer, -s.config.retry_us) < s.config.retry_us // 2:
        return False
    s.helped[peer] = s.now.monotonic
    return True


def greet(s: State, peer: int) -> None:
    """Own votes of this view and of what is not final yet, the newest finalization, and a question."""
    if s.newest is not None:
        s.send(peer, s.newest)
    for view in sorted(s.rounds)[-FUTURE_VIEWS_MAX:]:
        for vote in s.rounds[view].mine.values():
            s.send(peer, vote)
    inquire(s, peer)


def best_certificate(s: State) -> Certificate | None:
    """Of the highest view that is certified here, in this epoch."""
    found = [one for round_ in s.rounds.values() for one in round_.certificates.values()]
    newest = _newest_above(s, 0)
    if newest is not None and newest.epoch == s.config.epoch:
        found.append(newest)
    return max(found, key=lambda one: one.view, default=None)


def inquire(s: State, peer: int) -> None:
    """Ask a peer for whatever is newer than what is known here."""
    s.asked[peer] = min(ASKED_MAX, s.asked[peer] + 1)
    s.send(peer, Fetch(s.final.view, s.settled + 1, (), s.config.epoch))


def meet(s: State, peer: int, epoch: int, message: Message) -> None:
    """
    A peer speaks in another epoch, which is no fault: one of us has not heard how an epoch ended.

    Who is behind is told, who is ahead is asked, each at most once in half a retry time.
    """
    if isinstance(message, Fetch) and epoch < s.config.epoch:
        _serve_past(s, peer, message)
    elif epoch > s.config.epoch or not isinstance(message, Certificate):
        meet_at(s, peer, epoch)


def meet_at(s: State, peer: int, epoch: int) -> None:
    """The same for a peer that only says in which other epoch it is."""
    if epoch > s.config.epoch:
        s.ahead[peer] = epoch
    if not _may_help(s, peer):
        return
    if epoch > s.config.epoch:
        inquire(s, peer)
    else:
        _tell_end(s, peer, epoch)


def go_on_asking(s: State, ahead: Mapping[int, int]) -> None:
    """An epoch begins here that is no news to these peers: nobody else would tell what came of it."""
    s.ahead = {peer: epoch for peer, epoch in ahead.items() if epoch > s.config.epoch}
    for peer, epoch in ahead.items():
        if epoch >= s.config.epoch:
            inquire(s, peer)


def _tell_end(s: State, peer: int, epoch: int) -> None:
    end = s.application.epoch_end(epoch)
    if end is not None:
        s.fired[Rule.HELP] += 1
        s.send(peer, end.certificate)


def _serve_past(s: State, peer: int, asked: Fetch) -> None:
    """How an older epoch ended, and the blocks of it that the asker lacks, newest first."""
    end = s.application.epoch_end(asked.epoch)
    if end is None or not s.budget.take(peer, Sort.QUESTION, s.now.monotonic):
        return
    top = end.certificate.proposal
    assert top is not None, "a finalization names a block"
    want = asked.want or (top.block_hash,)
    children = {block.proposal.block_hash: block for block in end.blocks}
    blocks = _runs(s, want, asked.final_view, children)
    s.send(peer, Supply((end.certificate,), tuple(blocks)))


def _newest_above(s: State, view: int) -> Certificate | None:
    if s.newest is not None:
        return s.newest if s.newest.view > view else None
    return s.application.finalization(view + 1)


def serve(s: State, peer: int, asked: Fetch) -> None:
    """Answer with certificates from the asked view up and runs of blocks, newest first; nothing if there is nothing."""
    if not s.budget.take(peer, Sort.QUESTION, s.now.monotonic):
        return
    certificates = _certificates_for(s, asked)
    blocks = _runs(s, asked.want, asked.final_view, {})
    if certificates or blocks:
        s.send(peer, Supply(tuple(certificates), tuple(blocks)))


def _certificates_for(s: State, asked: Fetch) -> list[Certificate]:
    newest = _newest_above(s, asked.final_view)
    found = [newest] if newest else []
    for view in sorted(view for view in s.rounds if view >= asked.view):
        found += s.rounds[view].certificates.values()
    size = 0
    for at, certificate in enumerate(found[:SUPPLY_CERTIFICATES_MAX]):
        size += len(to_bytes(certificate))
        if size > CERTIFICATE_BYTES_MAX:
            return found[:at]
    return found[:SUPPLY_CERTIFICATES_MAX]


def _runs(
    s: State, want: Sequence[BlockHash], above: int, children: Mapping[BlockHash, SuppliedBlock]
) -> list[SuppliedBlock]:
    """Each wanted block with its ancestors above a view, within the bounds of one answer."""
    found: list[SuppliedBlock] = []
    size = 0
    for wanted in want:
        block = children.get(wanted) or _block(s, wanted)
        while block is not None and block.proposal.view > above:
            size += len(block.body)
            if len(found) == SUPPLY_BLOCKS_MAX or (found and size > SUPPLY_BYTES_MAX):
                return found
            found.append(block)
            parent = BlockHash(block.proposal.parent_hash)
            block = children.get(parent) or _block(s, parent)
    return found


def _block(s: State, block_hash: BlockHash) -> SuppliedBlock | None:
    held = s.blocks.get(block_hash)
    return SuppliedBlock(held.proposal, held.body) if held else s.application.block(block_hash)


def is_stuck(s: State) -> bool:
    """Whether something here waits for what a peer may have."""
    if s.ended:
        return False
    if s.anchors or s.owed or s.ahead:
        return True
    current = s.rounds.get(s.view)
    if current is not None and current.proposal is not None and current.may_cast(NOTARIZE):
        return True
    if not s.leads:
        return False
    at = proposes_at(s)
    return at is not None and at <= s.now.monotonic


def ask(s: State) -> bool:
    """Ask one peer for what is missing, another one each time; False when nothing is."""
    wanted, source = _wanted(s)
    view = _uncertified(s)
    peers = _who_may_know(s, source) if wanted or view is not None else sorted(s.ahead)
    if not peers:
        return False
    s.rotation += 1
    peer = peers[s.rotation % len(peers)]
    s.asked[peer] = min(ASKED_MAX, s.asked[peer] + 1)
    s.send(peer, Fetch(s.final.view, s.view if view is None else view, tuple(wanted[:FETCH_WANT_MAX]), s.config.epoch))
    return True


def _who_may_know(s: State, source: Certificate | None) -> list[int]:
    """Signers surely had it, and whoever is an epoch further: of this one's validators none may be left."""
    seats = [seat for seat in signers_of(source) if seat != s.config.me] if source else []
    peers = [s.numbers[seat] for seat in seats or s.others()]
    return peers + sorted(s.ahead.keys() - set(peers))


def _wanted(s: State) -> tuple[list[BlockHash], Certificate | None]:
    """Hashes of missing blocks, all certified, and whose signers surely had the first."""
    if s.anchors:
        missing = s.blocks.walk(s.anchors[-1], s.final).missing
        return ([missing] if missing else []), s.newest
    source: Certificate | None = None
    goals: list[BlockHash] = []
    for view in sorted(s.owed):
        round_ = s.seen(view)
        certificate = round_.certificates.get(NOTARIZE) if round_ else None
        if certificate is not None and certificate.proposal is not None:
            source = source or certificate
            goals.append(certificate.proposal.block_hash)
    goals += _parents(s)
    walks = [s.blocks.walk(goal, s.final).missing for goal in goals]
    return list(dict.fromkeys(missing for missing in walks if missing)), source


def _parents(s: State) -> list[BlockHash]:
    """The blocks to build on: as voter if the parent is certified, as leader the one to extend."""
    current = s.seen(s.view)
    proposal = current.proposal if current else None
    if proposal is not None and unproven_view(s, proposal) is None:
        return [proposal.parent_hash]
    found = parent_for(s, s.view)
    return [found[0].block_hash] if found else []


def _uncertified(s: State) -> int | None:
    current = s.seen(s.view)
    proposal = current.proposal if current else None
    lacking = unproven_view(s, proposal) if proposal else None
    unknown = unknown_view(s)
    views = [view for view in (lacking, unknown) if view is not None]
    return min(views, default=None)


def accept_blocks(s: State, blocks: tuple[SuppliedBlock, ...]) -> list[Held]:
    """Hold those supplied blocks that are missing here, or are ancestors of such a one."""
    wanted = set(_wanted(s)[0])
    taken: list[Held] = []
    for block in blocks:
        proposal = block.proposal
        if proposal.block_hash in wanted and proposal.view > s.final.view:
            taken.append(s.blocks.put(proposal, block.body))
            wanted.add(proposal.parent_hash)
    return taken


def stay_within_bounds(s: State, taken: list[Held]) -> None:
    """When too much is held and still not connected, remember of this run only where to go on."""
    if not s.anchors or (len(s.blocks) <= SYNC_BLOCKS_MAX and s.blocks.bytes <= SYNC_BYTES_MAX):
        return
    missing = s.blocks.walk(s.anchors[-1], s.final).missing
    if missing is None or not taken:
        return
    for held in taken:
        s.blocks.drop(held.proposal.block_hash)
    s.anchors.append(missing)
