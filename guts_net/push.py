"""
A push at its gateway (``architecture.md`` 5): quarantine, facts, keep, sign, order, answer per ref.

The answer for each ref comes from a finalized block, or says in words why there is none. A push that
is not ``atomic`` loses only the refs that moved meanwhile: what remains is submitted again over the
same pack.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import trio
from attrs import define, field

from guts_core.chain.compose import PUSH_LIFETIME_MS
from guts_core.chain.transaction import transaction_id
from guts_core.codec import Tag, digest
from guts_core.errors import GutsError, NotAllowed, NotFound, Refused, Unavailable
from guts_core.forge import queries
from guts_core.forge.actions import Action, CreateRepository, Manifest, ManifestKind, RefUpdate, SourceKind
from guts_core.forge.permissions import Permission, may
from guts_core.forge.records import ObjectFormat
from guts_core.git.refs import client_ref_name, ref_name
from guts_core.names import RefName, RepoId, TxId, repository_name
from guts_core.node.messages import INLINE_PACK_BYTES_MAX
from guts_core.node.node import Node
from guts_core.node.port import (
    PUSH_PIECES,
    OpenPush,
    Outcome,
    PackData,
    Phase,
    Progress,
    PushCommand,
    PushReport,
    RefReport,
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


@define
class _Push:
    """One push on its way: what is still undecided, and what is known of each ref."""

    request: OpenPush
    acting: Acting
    repo: RepoId
    creating: CreateRepository | None
    deadline: float = 0.0  # known once the pack is here: nobody is told "not in time" for a slow upload
    undecided: list[PushCommand] = field(factory=list)
    errors: dict[str, str | None] = field(factory=dict)
    tx_id: TxId | None = None
    height: int | None = None

    def fail(self, commands: Iterable[PushCommand], reason: str) -> None:
        for command in commands:
            self.errors[command.ref] = reason
        self.undecided = [c for c in self.undecided if c.ref not in self.errors]

    def report(self, unpack_error: str | None = None) -> PushReport:
        reports = tuple(RefReport(c.ref, self.errors.get(c.ref, "not attempted")) for c in self.request.commands)
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
    ) -> None:
        self._node, self._packs, self._submissions, self._log = node, packs, submissions, log
        self._tally, self._lacks_packs = tally, lacks_packs

    async def serve(self, conversation: Conversation, request: OpenPush) -> None:
        """Answer one OpenPush; the pack follows in the conversation."""
        try:
            report = await self._carry(conversation, request)
        except GutsError:
            self._tally.add("pushes.refused")
            raise
        self._tally.add(f"pushes.{_result_of(report)}")
        await conversation.say(report)

    async def _carry(self, conversation: Conversation, request: OpenPush) -> PushReport:
        self._submissions.require_room()
        push = self._begin(request)
        self._refuse_early(push)
        self._log.info("push_opened", repo=push.repo.hex(), refs=len(request.commands))
        async with self._packs.incoming() as incoming:
            received = 0
            while isinstance(piece := await conversation.hear(PUSH_PIECES), PackData):
                received += len(piece.data)
                self._submissions.space.check()
                await incoming.write(piece.data)
            if not push.undecided:
                return push.report()
            try:
                checked = await self._take_pack(incoming, push) if received else None
            except Refused as refusal:
                push.fail(list(push.undecided), "unpacker error")
                return push.report(str(refusal))
        size = checked.blob.size if checked is not None else 0
        push.deadline = trio.current_time() + request.wait_ms / 1000 + SECONDS_PER_MIB * size / (1 << 20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notices, conversation)
            await self._settle_or_say_why(push, checked)
            nursery.cancel_scope.cancel()
        self._log.info("push_done", repo=push.repo.hex(), ok=sum(e is None for e in push.errors.values()))
        return push.report()

    async def _take_pack(self, incoming: Incoming, push: _Push) -> CheckedPack | None:
        checked = await incoming.check(push.repo)
        if checked is not None:
            await self._packs.keep(checked)
            self._log.info("pack_kept", digest=checked.blob.digest.hex(), bytes=checked.blob.size)
        return checked

    # ---- before the pack ----

    def _begin(self, request: OpenPush) -> _Push:
        acting = self._submissions.acting(request.seed)
        if request.repo is not None:
            self._authorize(acting, request.repo)
            return _Push(request, acting, request.repo, None, undecided=list(request.commands))
        creating = self._creation(request, acting)
        repo = RepoId(digest(Tag.REPO_ID, self._node.chain_id, acting.credential.account, creating.salt))
        return _Push(request, acting, repo, creating, undecided=list(request.commands))

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

    def _refuse_early(self, push: _Push) -> None:
        """What finalized state already answers, before any byte of the pack is read."""
        refused = []
        for command in list(push.undecided):
            reason = self._name_problem(command) or self._moved(push, command)
            if reason is not None:
                push.fail([command], reason)
                refused.append(command.ref)
        if refused and push.request.atomic:
            push.fail(list(push.undecided), f"atomic push failed: {refused[0]} was refused")

    @staticmethod
    def _name_problem(command: PushCommand) -> str | None:
        try:
            client_ref_name(command.ref)
        except Refused as refusal:
            return str(refusal)
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
            push.fail(list(push.undecided), str(error))

    async def _settle(self, push: _Push, checked: CheckedPack | None) -> None:
        while push.undecided:
            most = self._updates_max(push)
            batch = push.undecided[:most]
            if not batch:
                return
            outcome = await self._submit(push, batch, checked)
            if outcome is None:
                continue
            self._apply(push, batch, outcome)

    def _updates_max(self, push: _Push) -> int:
        most = self._node.ledger.network.params.updates_max
        if push.request.atomic and len(push.undecided) > most:
            push.fail(list(push.undecided), f"an atomic push moves at most {most} refs")
        return most

    async def _submit(self, push: _Push, batch: list[PushCommand], checked: CheckedPack | None) -> Outcome | None:
        """None when something was refused here and what remains has to be asked for anew."""
        judged = self._counters(push.repo)
        found = await self._facts(push, batch, checked)
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
        return await self._submissions.submit(signed, (), wait_ms, inline, judged)

    def _counters(self, repo: RepoId) -> tuple[int, int]:
        """Against which state the facts hold: read in the same step of the loop as the refs."""
        repository = queries.repository(self._node.ledger.view(), repo)
        return (0, 0) if repository is None else (repository.objects_epoch, repository.removals)

    async def _facts(self, push: _Push, batch: list[PushCommand], checked: CheckedPack | None) -> Facts:
        refs = {RefName(ref.name): ref.oid for ref in queries.refs(self._node.ledger.view(), push.repo)}
        return await self._packs.facts(push.repo, refs, batch, checked)

    def _fail_refused(self, push: _Push, found: Facts) -> None:
        for command in list(push.undecided):
            if command.ref in found.refused:
                push.fail([command], str(found.refused[command.ref]))
        if push.request.atomic:
            push.fail(list(push.undecided), f"atomic push failed: {next(iter(found.refused))} was refused")

    def _apply(self, push: _Push, batch: list[PushCommand], outcome: Outcome) -> None:
        if outcome.phase is Phase.FINAL and outcome.error is None:
            push.height, push.creating = outcome.height, None
            for command in batch:
                push.errors[command.ref] = None
            push.undecided = push.undecided[len(batch) :]
        elif outcome.phase is Phase.PENDING:
            push.fail(batch, self._pending_words(outcome))
            push.fail(list(push.undecided), "not attempted: the updates before it are not final yet")
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


def _result_of(report: PushReport) -> str:
    refused = sum(ref.error is not None for ref in report.refs)
    if not refused:
        return "done"
    return "refused" if refused == len(report.refs) else "partial"
