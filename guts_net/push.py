"""
A push at its gateway (``architecture.md`` 5): quarantine, facts, keep, sign, order, answer per ref.

The answer for each ref comes from a finalized block, or says in words why there is none. A push that
is not ``atomic`` loses only the refs that moved meanwhile: what remains is submitted again over the
same pack.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import trio
from attrs import define, evolve, field

from guts_core.chain.compose import PUSH_LIFETIME_MS
from guts_core.chain.transaction import transaction_id
from guts_core.codec import Tag, digest
from guts_core.errors import GutsError, LimitExceeded, Malformed, NotAllowed, NotFound, Refused, Unavailable
from guts_core.forge import queries
from guts_core.forge.actions import Action, CreateRepository, Manifest, ManifestKind, RefUpdate, SourceKind
from guts_core.forge.manifests import REF_COMPONENTS_MAX
from guts_core.forge.permissions import Permission, may
from guts_core.forge.records import ObjectFormat
from guts_core.git.pack_limits import PackLimits
from guts_core.git.receive_pack import REASON_CHARS_MAX
from guts_core.git.refs import client_ref_name, ref_name
from guts_core.names import Oid, RefName, RepoId, TxId, repository_name
from guts_core.node.messages import INLINE_PACK_BYTES_MAX
from guts_core.node.node import Node
from guts_core.node.port import PUSH_PIECES, OpenPush, Outcome, PackData, PackEnd, Phase, Progress, PushReport
from guts_core.node.push_parts import (
    PUSH_COMMANDS_MAX,
    REPORTS_AT_ONCE_MAX,
    MoreCommands,
    PushCommand,
    RefReport,
    RefReports,
)
from guts_core.node.pushes import MAY_STILL_HAPPEN

from .conversation import Conversation
from .logs import Log
from .packs import CheckedPack, Facts, Incoming, PackStore
from .submission import Acting, Submissions
from .tally import Tally

DEFAULT_BRANCH = "refs/heads/main"
# A waiting pusher hears why this often.
WAIT_NOTICE_SECONDS = 5.0
# Validators pull and index a pack before they vouch for it; two of them on one slow core do 2 MiB a second.
SECONDS_PER_MIB = 0.5
# So many refs are looked at before others on this loop have a turn: a few milliseconds.
REFS_AT_ONCE = 200


@define
class _Push:
    """One push on its way: what is still undecided, and what is known of each ref."""

    request: OpenPush
    acting: Acting
    repo: RepoId
    creating: CreateRepository | None
    size: int = 0  # of its pack
    deadline: float = 0.0  # known once the pack is here: nobody is told "not in time" for a slow upload
    commands: dict[str, PushCommand] = field(factory=dict)
    undecided: dict[str, PushCommand] = field(factory=dict)
    errors: dict[str, str | None] = field(factory=dict)
    tx_id: TxId | None = None
    height: int | None = None

    def take(self, commands: Iterable[PushCommand]) -> None:
        """What it is to move; raises LimitExceeded."""
        for command in commands:
            self.commands[command.ref] = self.undecided[command.ref] = command
        if len(self.commands) > PUSH_COMMANDS_MAX:
            raise LimitExceeded(f"a push moves at most {PUSH_COMMANDS_MAX} refs; push in several steps")

    def delete_first(self) -> None:
        """What goes may be in the way of what comes, in whichever of several transactions they stand."""
        self.undecided = dict(sorted(self.undecided.items(), key=lambda one: one[1].new is not None))

    def next_batch(self, most: int) -> list[PushCommand]:
        """The first that are undecided; each batch has its own time to become final."""
        seconds = self.request.wait_ms / 1000 + SECONDS_PER_MIB * self.size / (1 << 20)
        self.deadline = trio.current_time() + seconds
        return list(islice(self.undecided.values(), most))

    def fail(self, commands: Iterable[PushCommand], reason: str) -> None:
        for command in commands:
            self.settle(command, reason[:REASON_CHARS_MAX])

    def settle(self, command: PushCommand, error: str | None) -> None:
        self.errors[command.ref] = error
        self.undecided.pop(command.ref, None)

    def fail_rest(self, reason: str) -> None:
        self.fail(list(self.undecided.values()), reason)

    def report(self, unpack_error: str | None = None) -> PushReport:
        reports = tuple(RefReport(ref, self.errors.get(ref, "not attempted")) for ref in self.commands)
        return PushReport(unpack_error, reports, self.tx_id, self.height)


class PushGateway:
    """Carries pushes from a conversation to finality."""

    def __init__(
        self,
        node: Node,
        packs: PackStore,
        submissions: Submissions,
        log: Log,
        tally: Tally,
        lacks_packs: Callable[[RepoId], bool],
        limits: PackLimits,
    ) -> None:
        self._node, self._packs, self._submissions, self._log = node, packs, submissions, log
        self._limits = limits
        self._tally, self._lacks_packs = tally, lacks_packs

    async def serve(self, conversation: Conversation, request: OpenPush) -> None:
        """Answer one OpenPush; the pack follows in the conversation."""
        try:
            report = await self._carry(conversation, request)
        except GutsError:
            self._tally.add("pushes.refused")
            raise
        self._tally.add(f"pushes.{_result_of(report)}")
        for piece in _pieces(report):
            await conversation.say(piece)

    async def _carry(self, conversation: Conversation, request: OpenPush) -> PushReport:
        self._submissions.require_room()
        push = self._begin(request)
        piece = await self._hear_commands(conversation, push)
        await self._refuse_early(push)
        self._log.info("push_opened", repo=push.repo.hex(), refs=len(push.commands))
        async with self._packs.incoming() as incoming:
            while isinstance(piece, PackData):
                self._submissions.space.check()
                await incoming.write(piece.data)
                piece = await conversation.hear(PUSH_PIECES)
            _must_be_the_end(piece)
            self._still_authorize(push)
            if not push.undecided:
                return push.report()
            try:
                checked = await self._take_pack(incoming, push) if incoming.size else None
            except Refused as refusal:
                push.fail_rest("unpacker error")
                return push.report(str(refusal))
        push.size = checked.blob.size if checked is not None else 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notices, conversation)
            await self._settle_or_say_why(push, checked)
            nursery.cancel_scope.cancel()
        self._log.info("push_done", repo=push.repo.hex(), ok=sum(e is None for e in push.errors.values()))
        return push.report()

    async def _hear_commands(self, conversation: Conversation, push: _Push) -> object:
        """The commands that did not fit with the first; what comes after them."""
        push.take(push.request.commands)
        while isinstance(piece := await conversation.hear(PUSH_PIECES), MoreCommands):
            push.take(piece.commands)
        return piece

    async def _take_pack(self, incoming: Incoming, push: _Push) -> CheckedPack | None:
        checked = await incoming.check(push.repo, self._limits)
        if checked is not None:
            await self._packs.keep(checked)
            self._log.info("pack_kept", digest=checked.blob.digest.hex(), bytes=checked.blob.size)
        return checked

    # ---- before the pack ----

    def _begin(self, request: OpenPush) -> _Push:
        acting = self._submissions.acting(request.seed)
        if request.repo is not None:
            self._authorize(acting, request.repo)
            return _Push(request, acting, request.repo, None)
        creating = self._creation(request, acting)
        repo = RepoId(digest(Tag.REPO_ID, self._node.chain_id, acting.credential.account, creating.salt))
        return _Push(request, acting, repo, creating)

    def _authorize(self, acting: Acting, repo: RepoId) -> None:
        view = self._node.ledger.view()
        repository = queries.repository(view, repo)
        if repository is None or not may(acting.principal, Permission.READ_REPOSITORY, repository, view):
            raise NotFound("there is no such repository")
        if not may(acting.principal, Permission.WRITE_REPOSITORY, repository, view):
            raise NotAllowed("this token may not push to this repository")
        if self._lacks_packs(repo):
            # What it needs to judge a push may be in them.
            raise Unavailable("this node is still fetching packs of this repository; try again, or another node")

    def _still_authorize(self, push: _Push) -> None:
        """A pack may come for hours, and what is said of it tells what else the repository holds."""
        if push.request.repo is not None:
            self._authorize(push.acting, push.request.repo)

    def _creation(self, request: OpenPush, acting: Acting) -> CreateRepository:
        if not may(acting.principal, Permission.CREATE_REPOSITORY, None, self._node.ledger.view()):
            raise NotAllowed("this token may not create repositories")
        return CreateRepository(
            name=repository_name(request.name),
            salt=os.urandom(32),
            private=request.private,
            default_branch=DEFAULT_BRANCH,
            object_format=ObjectFormat.SHA1,
            placement="all",
            description=None,
        )

    async def _refuse_early(self, push: _Push) -> None:
        """What finalized state already answers, before any byte of the pack is kept."""
        refused = []
        for number, command in enumerate(push.commands.values(), 1):
            reason = self._name_problem(command) or self._moved(push, command) or self._kept(push, command)
            if reason is not None:
                push.fail([command], reason)
                refused.append(command.ref)
            if not number % REFS_AT_ONCE:
                await trio.lowlevel.checkpoint()
        if refused and push.request.atomic:
            push.fail_rest(f"atomic push failed: {refused[0]} was refused")
        push.delete_first()

    def _kept(self, push: _Push, command: PushCommand) -> str | None:
        """Said here for this ref alone: in a transaction it would refuse those beside it, a whole mirror perhaps."""
        if command.new is not None or command.old is None:
            return None
        repository = queries.repository(self._node.ledger.view(), push.repo)
        if repository is None or command.ref != repository.default_branch:
            return None
        return f"refusing to delete the current branch: {command.ref}"

    @staticmethod
    def _name_problem(command: PushCommand) -> str | None:
        try:
            name = client_ref_name(command.ref)
        except Refused as refusal:
            return str(refusal)
        if name.count("/") >= REF_COMPONENTS_MAX:
            # Said here for this ref alone: in a transaction it would refuse those beside it.
            return f"ref name {name} has more than {REF_COMPONENTS_MAX} parts"
        return None

    def _moved(self, push: _Push, command: PushCommand) -> str | None:
        ref = queries.ref(self._node.ledger.view(), push.repo, ref_name(command.ref))
        actual = None if ref is None else ref.oid
        if actual in (command.old, command.new):
            return None
        if actual is None:
            return "stale: the ref is gone; fetch first"
        return f"stale: the ref is at {actual.hex()[:10]} now; fetch first"

    # ---- after the pack ----

    async def _settle_or_say_why(self, push: _Push, checked: CheckedPack | None) -> None:
        try:
            await self._settle(push, checked)
        except GutsError as error:
            push.fail_rest(str(error))

    async def _settle(self, push: _Push, checked: CheckedPack | None) -> None:
        while push.undecided:
            batch = push.next_batch(self._updates_max(push))
            if not batch:
                return
            outcome = await self._submit(push, batch, checked)
            if outcome is None:
                continue
            self._apply(push, batch, outcome)

    def _updates_max(self, push: _Push) -> int:
        most = self._node.ledger.network.params.updates_max
        if push.request.atomic and len(push.undecided) > most:
            push.fail_rest(f"an atomic push moves at most {most} refs; push without --atomic")
        return most

    async def _submit(self, push: _Push, batch: list[PushCommand], checked: CheckedPack | None) -> Outcome | None:
        """None when something was refused here and what remains has to be asked for anew."""
        judged = _Judged(self._counters(push.repo))
        found = await self._facts(push, batch, checked, judged)
        if found.refused:
            self._fail_refused(push, found)
            return None
        from_pack = any(update.source is SourceKind.PACK for update in found.updates)
        blob = checked.blob if checked is not None and from_pack else None
        manifest = Manifest(ManifestKind.PACK, push.repo, ObjectFormat.SHA1, blob, found.updates)
        actions: tuple[Action, ...] = (RefUpdate(manifest),)
        if push.creating is not None:
            actions = (push.creating, *actions)
        signed = self._submissions.compose(push.acting, actions, PUSH_LIFETIME_MS)
        push.tx_id = transaction_id(signed.body)
        self._log.info("push_submitted", tx=push.tx_id.hex(), refs=len(found.updates))
        inline = None
        if blob is not None and blob.size <= INLINE_PACK_BYTES_MAX:
            inline = await self._packs.read_chunk(blob.digest, 0)
        wait_ms = max(0, int((push.deadline - trio.current_time()) * 1000))
        return await self._submissions.submit(signed, (), wait_ms, inline, judged.counters)

    def _counters(self, repo: RepoId) -> tuple[int, int]:
        """Against which state the facts hold: read in the same step of the loop as the refs."""
        repository = queries.repository(self._node.ledger.view(), repo)
        return (0, 0) if repository is None else (repository.objects_epoch, repository.removals)

    async def _facts(
        self, push: _Push, batch: list[PushCommand], checked: CheckedPack | None, judged: _Judged
    ) -> Facts:
        view = self._node.ledger.view()
        named = ((command.ref, queries.ref(view, push.repo, command.ref)) for command in batch)
        refs = {RefName(name): ref.oid for name, ref in named if ref is not None}

        def tips() -> frozenset[Oid]:
            # Only asked for what the pack does not bring: a push of many refs would read them all for each batch.
            judged.counters = self._counters(push.repo)
            return frozenset(ref.oid for ref in queries.refs(self._node.ledger.view(), push.repo))

        return await self._packs.facts(push.repo, refs, batch, checked, tips)

    def _fail_refused(self, push: _Push, found: Facts) -> None:
        for ref, refusal in found.refused.items():
            push.fail([push.commands[ref]], str(refusal))
        if push.request.atomic:
            push.fail_rest(f"atomic push failed: {next(iter(found.refused))} was refused")

    def _apply(self, push: _Push, batch: list[PushCommand], outcome: Outcome) -> None:
        if outcome.phase is Phase.FINAL and outcome.error is None:
            push.height, push.creating = outcome.height, None
            for command in batch:
                push.settle(command, None)
        elif outcome.phase is Phase.PENDING:
            push.fail(batch, self._pending_words(outcome))
            push.fail_rest("not attempted: the updates before it are not final yet")
        else:
            self._refused(push, batch, outcome)

    def _refused(self, push: _Push, batch: list[PushCommand], outcome: Outcome) -> None:
        reason = f"{outcome.error}: {outcome.message}"
        moved = [] if push.request.atomic else [(c, m) for c in batch if (m := self._moved(push, c)) is not None]
        announced = outcome.message is not None and outcome.message.endswith(MAY_STILL_HAPPEN)
        for command, why in moved:
            push.fail([command], why + MAY_STILL_HAPPEN if announced else why)
        if not moved:
            push.fail(batch, reason)

    def _pending_words(self, outcome: Outcome) -> str:
        missing = outcome.missing_validators
        why = (
            f"{missing} more validator{'s are' if missing != 1 else ' is'} needed" if missing else "the network is slow"
        )
        return f"not final in time ({why}); it may still happen: fetch before you push again"

    async def _notices(self, conversation: Conversation) -> None:
        """Until cancelled, or until the pusher is gone; what was submitted goes its way without them."""
        while True:
            await trio.sleep(WAIT_NOTICE_SECONDS)
            missing = self._submissions.missing_validators()
            are = "is" if missing == 1 else "are"
            words = f"{missing} of the validators needed {are} missing" if missing else "waiting for the validators"
            try:
                await conversation.say(Progress(f"guts: not final yet: {words}\n"))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return


@define
class _Judged:
    """The counters of the repository at the step of the loop at which its refs were read last."""

    counters: tuple[int, int]


def _must_be_the_end(piece: object) -> None:
    if not isinstance(piece, PackEnd):
        raise Malformed("commands of a push came after its pack")


def _pieces(report: PushReport) -> Iterator[RefReports | PushReport]:
    """The report in frames, each with as many refs as fit."""
    starts = range(0, len(report.refs), REPORTS_AT_ONCE_MAX)
    parts = [report.refs[at : at + REPORTS_AT_ONCE_MAX] for at in starts] or [()]
    yield from (RefReports(part) for part in parts[:-1])
    yield evolve(report, refs=parts[-1])


def _result_of(report: PushReport) -> str:
    refused = sum(ref.error is not None for ref in report.refs)
    if not refused:
        return "done"
    return "refused" if refused == len(report.refs) else "partial"
