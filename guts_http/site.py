"""What every door shares: the port, the reader, the settings, and who is asking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import trio
from attrs import frozen

from guts_core.chain.transaction import Text
from guts_core.codec import HASH_BYTES
from guts_core.errors import Conflict, Unauthenticated, Unavailable
from guts_core.forge.actions import Action
from guts_core.forge.permissions import Permission, Principal, credential_is_active, demand, hidden
from guts_core.forge.queries import repository_by_name, repository_even_deleted
from guts_core.forge.records import Repository
from guts_core.git.receive_pack import DEFAULT_FORM, FormLimits
from guts_core.names import NodeId, RepoId
from guts_core.node.codes import error_with
from guts_core.node.port import Act, AskStatus, Outcome, Phase, Request, Status

from .auth import Caller, identify, shown_in
from .clients import Trusted
from .port import Port, ask
from .problems import NotFinal
from .proxies import HOST
from .rates import Rates
from .reader import Reader, Snapshot
from .room import ROOM_BYTES_MAX, Room
from .turns import Shares, Turns

# A status older than this is asked anew for the decision about private reads.
STATUS_SECONDS = 1.0
_POLL_SECONDS = 0.02
# Archives on their way at once: each holds packs open for as long as its client reads. Its memory is counted in room.
ARCHIVES_MAX = 16


@frozen
class Settings:
    """What the doors are told by the operator."""

    public_url: str | None = None  # None: what the Host header says
    trusted_proxies: tuple[str, ...] = ()  # addresses and ranges that may speak for clients
    requests_per_second: int = 200  # one address; ten times as much for loopback
    account_requests_per_second: int = 1_000
    wait_ms: int = 30_000  # how long a write waits for finality
    min_height_seconds: float = 10.0  # how long a read waits for Guts-Min-Height
    json_bytes_max: int = 1 << 20  # a transaction with its texts is the largest body
    body_idle_seconds: float = 30.0
    git_reads_max: int = 8  # histories read at once; more children only wait for each other
    fetches_max: int = 32  # git children for clones at once, 20-50 MB each at work
    pushes_max: int = 64
    push_form: FormLimits = DEFAULT_FORM
    turns_percent_per_address: int = 25  # of all those above, twice as much for loopback
    queue_seconds: float = 10.0  # how long a clone or push waits for its turn before 503
    pack_bytes_max: int = 2 << 30
    shared_answers_bytes_max: int = 4 << 30  # files of all answers that several clients share
    fetch_request_bytes_max: int = 16 << 20  # 65,536 haves are 3.3 MB
    keepalive_seconds: float = 5.0  # what keeps proxies from closing a push that waits


class Site:
    """One node as its doors see it."""

    def __init__(
        self,
        port: Port,
        reader: Reader,
        settings: Settings,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.port = port
        self.reader = reader
        self.settings = settings
        self._clock_ms = clock_ms
        self.shares = Shares(settings.turns_percent_per_address, Trusted(settings.trusted_proxies))
        self.git_reads = self.turns(settings.git_reads_max, "readers of histories")
        self.archives = self.turns(ARCHIVES_MAX, "archives")
        self.room = Room(ROOM_BYTES_MAX, self.shares)
        self._accounts = Rates(settings.account_requests_per_second)
        self._status: Status | None = None
        self._status_at = -STATUS_SECONDS

    def turns(self, most: int, what: str) -> Turns:
        """So many of something at once, of which each address has its share."""
        return Turns(most, self.settings.queue_seconds, what, self.shares)

    async def status(self) -> Status:
        """What the node does now."""
        status = await ask(self.port, AskStatus())
        assert isinstance(status, Status)
        self._status, self._status_at = status, trio.current_time()
        return status

    async def recent_status(self) -> Status:
        """What the node did a moment ago."""
        if self._status is not None and trio.current_time() - self._status_at < STATUS_SECONDS:
            return self._status
        return await self.status()

    async def node_id(self) -> NodeId:
        """The node behind the port: the gateway that a token must list."""
        status = self._status or await self.status()
        return NodeId(status.node_id)

    def caller(self, headers: Iterable[tuple[bytes, bytes]], query: bytes, snapshot: Snapshot, node: NodeId) -> Caller:
        """Who asks, judged by this snapshot; TooManyRequests when they ask too often."""
        shown = shown_in(headers, query)
        caller = identify(shown, snapshot, self._now_ms(snapshot), node)
        if caller.account is not None:
            self._accounts.take(caller.account.id)
        return caller

    def check_not_expired(self, principal: Principal, snapshot: Snapshot) -> None:
        """Raise Unauthenticated when the credential of who was let in a while ago has expired since."""
        credential = principal.credential
        if credential is not None and not credential_is_active(credential, self._now_ms(snapshot)):
            raise Unauthenticated("this credential expired")

    def _now_ms(self, snapshot: Snapshot) -> int:
        """Expired by the clock or by block time is expired."""
        return max(self._clock_ms(), snapshot.time)

    async def check_private_reads(self) -> None:
        """Raise Unavailable while this node cannot know whether access was revoked (``private_read_grace``)."""
        status = await self.recent_status()
        if not status.private_reads:
            seconds = status.final_age_ms // 1000
            raise Unavailable(
                f"this node has learned of no final block for {seconds} s and cannot know who may still read this;"
                " private repositories are shown again when it has"
            )

    async def is_low_on_space(self) -> bool:
        """Whether the node keeps its last disk space for agreement (F13)."""
        status = await self.recent_status()
        return status.disk_free < status.disk_reserve

    async def check_writes(self) -> None:
        """Raise Unavailable while the node keeps its last disk space for agreement (F13)."""
        if await self.is_low_on_space():
            raise Unavailable(
                "this node is low on disk space and takes no writes until there is more; reads go on, and other nodes"
                " may take it"
            )

    def repository(self, snapshot: Snapshot, caller: Caller, owner: str, name: str, need: Permission) -> Repository:
        """The repository by names, if the caller may do this to it; raises what ``demand`` raises."""
        found = repository_by_name(snapshot, owner, name)
        if found is None:
            raise hidden()
        demand(caller.principal, need, found, snapshot)
        return found

    def deleted_repository(self, snapshot: Snapshot, caller: Caller, text: str, need: Permission) -> Repository:
        """A deleted repository by the hexadecimal digits of its id; raises what ``demand`` raises."""
        found = repository_even_deleted(snapshot, RepoId(_id_of(text)))
        if found is None or found.deleted is None:
            raise hidden()
        demand(caller.principal, need, found, snapshot)
        return found

    async def act(self, caller: Caller, actions: tuple[Action, ...], texts: tuple[Text, ...] = ()) -> Outcome:
        """Sign and submit for the caller, and wait: the final outcome, or the error it stands for."""
        assert caller.seed is not None, "a route that writes needs a token"
        return settled(await self.outcome(Act(caller.seed, actions, texts, self.settings.wait_ms)))

    async def outcome(self, request: Request) -> Outcome:
        """The outcome of a request that has one."""
        reply = await ask(self.port, request)
        assert isinstance(reply, Outcome)
        return reply

    async def wait_for_height(self, height: int) -> None:
        """Return when this height can be read; Unavailable when that takes too long."""
        with trio.move_on_after(self.settings.min_height_seconds):
            while True:
                with self.reader.snapshot() as snapshot:
                    reached = snapshot.height
                if reached >= height:
                    return
                await trio.sleep(_POLL_SECONDS)
        raise Unavailable(f"this node is at height {reached}, below the {height} you asked for; try again or elsewhere")

    def base_url(self, host: str | None, scheme: str) -> str:
        """Where links lead: the operator's word, else what the client called us."""
        if self.settings.public_url is not None:
            return self.settings.public_url.rstrip("/")
        return f"{scheme}://{host}" if host is not None and HOST.fullmatch(host) else ""


def _id_of(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise hidden() from None
    if len(found) != HASH_BYTES:
        raise hidden()
    return found


def settled(outcome: Outcome) -> Outcome:
    """The outcome if it is final and a yes; else raises what it stands for."""
    match outcome.phase:
        case Phase.FINAL if outcome.error is None:
            return outcome
        case Phase.FINAL | Phase.REFUSED:
            raise error_with(outcome.error or "refused", outcome.message or "refused")
        case Phase.EXPIRED:
            raise Conflict("the transaction expired before it could become final: nothing happened, and nothing will")
        case _:
            raise NotFinal(outcome.tx_id, outcome.missing_validators)
