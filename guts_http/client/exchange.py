"""
One conversation with a node, without sockets or clock: generators that say what to send and how long to wait.

Both clients run these, so that retries, redirects, pages and refusals are decided in one place. What a
node says never leads to another address: of links and redirects only the path is followed.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen

from guts_core.errors import (
    Conflict,
    GutsError,
    Invalid,
    LimitExceeded,
    NotAllowed,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    remade,
)
from guts_core.names import TxId
from guts_core.node.port import Phase

from .address import RETRY_SECONDS_MAX
from .calls import Call, Listing, Wait
from .errors import NotFinal, UnexpectedAnswer, Unreachable
from .results import Transaction
from .shapes import read_json

T = TypeVar("T")

RETRIES_MAX = 3
_RETRY_SECONDS = 1.0  # where a 503 does not say
REDIRECTS_MAX = 3
# Finality takes milliseconds on a healthy network; a slow one is not asked more than once a second.
_POLL_SECONDS = (0.02, 1.0)
_BY_STATUS: dict[int, type[GutsError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: LimitExceeded,
    422: Refused,
    429: LimitExceeded,
    503: Unavailable,
}
_REDIRECTS = (301, 302, 307, 308)
_LINK = re.compile(r'<([^<>]+)>;\s*rel="next"')


@frozen
class Send:
    """Send this, and give back the Answer; throw Unreachable when there is none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = field(default=None, repr=False)


@frozen
class Pause:
    """Wait so long, and give back nothing."""

    seconds: float


@frozen
class Answer:
    """A whole answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


Step: TypeAlias = Send | Pause
Talk: TypeAlias = Generator[Step, Answer | None, T]


def perform(call: Call[T], patience: float = RETRY_SECONDS_MAX) -> Talk[T]:
    """The result of one call, for which a busy node is waited for so long; raises what the node refused it with."""
    answer = yield from _answered(call, patience)
    return _read(call, answer)


def page(
    listing: Listing[T], path: str | None, patience: float = RETRY_SECONDS_MAX
) -> Talk[tuple[tuple[T, ...], str | None]]:
    """One page of a list, and the path of the next."""
    call = listing.page(path)
    answer = yield from _answered(call, patience)
    link = _LINK.search(answer.headers.get("link", ""))
    following = None if link is None else _path_of(link[1], call.what)
    if following == call.path:
        raise UnexpectedAnswer(f"{call.what}: the next page is this page")
    return _read(call, answer), following


def wait(wanted: Wait) -> Talk[Transaction]:
    """The end of a transaction."""
    seconds, left = _POLL_SECONDS[0], wanted.seconds
    while True:
        try:
            found = yield from perform(wanted.asking)
        except NotFound:
            # It may have been submitted elsewhere: this node learns of it in its block.
            if left <= 0:
                raise
            found = None
        if found is not None and found.phase is not Phase.PENDING:
            return _settled(found)
        if left <= 0:
            raise NotFinal(f"transaction {wanted.tx_id.hex()} is not final yet; it may still happen", wanted.tx_id)
        pause = min(seconds, left)
        yield Pause(pause)
        left -= pause
        seconds = min(2 * seconds, _POLL_SECONDS[1])


def _settled(found: Transaction) -> Transaction:
    if found.error is not None or found.phase is Phase.REFUSED:
        from guts_core.node.codes import error_with  # noqa: PLC0415 -- every refusal there is, for one that happened

        raise error_with(found.error or "refused", found.message or "the transaction was refused")
    if found.phase is Phase.EXPIRED:
        raise Conflict("the transaction expired before it could become final: nothing happened, and nothing will")
    return found


def _answered(call: Call[Any], patience: float) -> Talk[Answer]:
    """The successful answer, after retries and redirects."""
    path, waited, redirects = call.path, 0.0, 0
    for attempt in range(RETRIES_MAX + REDIRECTS_MAX + 1):
        answer = yield from _sent(call, path)
        if 200 <= answer.status < 300:
            return answer
        pause = _retry_seconds(answer)
        if answer.status in _REDIRECTS and redirects < REDIRECTS_MAX and _may_follow(call, answer):
            path, redirects = _path_of(answer.headers.get("location", ""), call.what), redirects + 1
        elif answer.status == 503 and _may_repeat(call, attempt - redirects) and waited + pause <= patience:
            yield Pause(pause)
            waited += pause
        else:
            break
    raise _refusal(call, answer)


def _sent(call: Call[Any], path: str) -> Talk[Answer]:
    headers = {} if call.body is None else {"Content-Type": call.content_type}
    try:
        answer = yield Send(call.method, path, headers, call.body)
    except Unreachable as error:
        if call.method == "GET" or not error.was_sent:
            raise
        raise NotFinal(f"{error}; what was asked may still happen", call.tx_id) from error
    assert answer is not None
    return answer


def _may_repeat(call: Call[Any], attempt: int) -> bool:
    return call.is_repeatable and attempt < RETRIES_MAX


def _may_follow(call: Call[Any], answer: Answer) -> bool:
    return call.method == "GET" or answer.status in (307, 308)


def _retry_seconds(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else _RETRY_SECONDS


def _path_of(url: str, what: str) -> str:
    """The path and query of a link: where a node believes to be found does not matter, and no token goes there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UnexpectedAnswer(f"{what}: a link that leads nowhere") from None
    if not parts.path.startswith("/"):
        raise UnexpectedAnswer(f"{what}: a link that leads nowhere")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _read(call: Call[T], answer: Answer) -> T:
    if call.is_binary:
        return call.read(answer.body, call.what)
    value = read_json(answer.body, call.what) if answer.body else None
    return call.read(value, call.what)


def _refusal(call: Call[Any], answer: Answer) -> GutsError:
    words = _words(answer) or f"{call.what}: status {answer.status}"
    if answer.status == 504:
        return NotFinal(words, call.tx_id or _transaction_in(answer))
    cls = _BY_STATUS.get(answer.status)
    if cls is None and answer.status >= 500:
        return Unavailable(words)
    from guts_core.node.codes import class_of  # noqa: PLC0415 -- see _settled

    code = _said(answer).get("code")
    known = class_of(code) if cls is not None and isinstance(code, str) else None
    return remade(known or cls or UnexpectedAnswer, words)


def _said(answer: Answer) -> dict[str, Any]:
    try:
        said = read_json(answer.body, "")
    except UnexpectedAnswer:
        return {}
    return said if isinstance(said, dict) else {}


def _words(answer: Answer) -> str | None:
    """The node's sentence, and what it says of single fields."""
    said = _said(answer)
    # Where the message has GitHub's general words, the detail has the node's own.
    words = said.get("detail") or said.get("message")
    if not isinstance(words, str):
        return None
    errors = said.get("errors")
    found = [one.get("message") for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    details = "; ".join(each for each in found if isinstance(each, str))
    return f"{words}: {details}" if details else words


def _transaction_in(answer: Answer) -> TxId | None:
    try:
        tx_id = bytes.fromhex(answer.headers.get("guts-transaction", ""))
    except ValueError:
        return None
    return TxId(tx_id) if len(tx_id) == 32 else None
