"""What the client decides, without a socket: retries, redirects, pages, refusals, and answers that are none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pytest

from guts_core import errors
from guts_core.forge.accounts import NameTaken
from guts_core.forge.quota import QuotaExhausted
from guts_core.names import TxId
from guts_http.client import NotFinal, Transaction, UnexpectedAnswer, Unreachable, as_json, calls, exchange
from guts_http.client.address import address
from guts_http.client.exchange import Answer, Pause, Send, Talk
from guts_http.client.shapes import one

T = TypeVar("T")
TX = TxId(bytes(range(32)))
VALIDATOR = {"index": 0, "number": 0, "name": "a", "node_id": "00" * 32, "vote_key": "11" * 32, "operator": None}
FINAL = {
    "id": TX.hex(),
    "phase": "final",
    "height": 3,
    "index": 0,
    "error": None,
    "message": None,
    "missing_validators": 0,
}


def says(status: int = 200, body: object = None, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def refuses(status: int, message: str = "no", **headers: str) -> Answer:
    return says(status, {"message": message, "status": str(status)}, **headers)


class Played:
    """A conversation with a node that says these things, one after another."""

    def __init__(self, talk: Talk[T], script: Sequence[Answer | Unreachable]) -> None:
        self.sent: list[Send] = []
        self.pauses: list[float] = []
        self.result: Any = None
        remaining = list(script)
        try:
            step = next(talk)
            while True:
                if isinstance(step, Pause):
                    self.pauses.append(step.seconds)
                    step = talk.send(None)
                    continue
                self.sent.append(step)
                said = remaining.pop(0)
                step = talk.throw(said) if isinstance(said, Unreachable) else talk.send(said)
        except StopIteration as end:
            self.result = end.value
        assert not remaining, "the node had more to say"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [step.path for step in self.sent]


def test_a_busy_node_is_asked_again_when_it_says() -> None:
    """Retry-After is obeyed, and a safe request loses nothing by being made twice."""
    played = Played(exchange.perform(calls.validators()), [refuses(503, retry_after="2"), says(body=[VALIDATOR])])

    assert played.pauses == [2.0]
    assert played.result[0].name == "a"


def test_patience_has_an_end() -> None:
    """So many times, so long, and never for a node that wants a minute."""
    with pytest.raises(errors.Unavailable, match="busy"):
        Played(exchange.perform(calls.validators()), [refuses(503, "busy", retry_after="1")] * 4)
    with pytest.raises(errors.Unavailable, match="busy"):
        Played(exchange.perform(calls.validators()), [refuses(503, "busy", retry_after="60")])
    with pytest.raises(errors.Unavailable, match="busy"):
        Played(exchange.perform(calls.validators(), patience=1.0), [refuses(503, "busy", retry_after="5")])


def test_a_write_is_not_repeated() -> None:
    """The node may have acted on it before it was in trouble."""
    with pytest.raises(errors.Unavailable):
        Played(exchange.perform(calls.create_repository("hello")), [refuses(503, retry_after="0")])


def test_a_write_that_was_cut_off_may_have_happened() -> None:
    """NotFinal says so; a connection that never stood is only Unreachable."""
    with pytest.raises(NotFinal, match="may still happen") as cut:
        Played(exchange.perform(calls.create_repository("hello")), [Unreachable("gone", was_sent=True)])
    with pytest.raises(Unreachable):
        Played(exchange.perform(calls.create_repository("hello")), [Unreachable("refused")])
    with pytest.raises(Unreachable):
        Played(exchange.perform(calls.status()), [Unreachable("gone", was_sent=True)])

    assert cut.value.tx_id is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthenticated),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.LimitExceeded),
        (422, errors.Refused),
        (429, errors.LimitExceeded),
        (500, errors.Unavailable),
        (502, errors.Unavailable),
        (418, UnexpectedAnswer),
        (304, UnexpectedAnswer),
    ],
)
def test_refusals_are_raised_with_the_words_of_the_node(status: int, kind: type[errors.GutsError]) -> None:
    """The class says who is to blame, the words say what for."""
    with pytest.raises(kind, match="the words") as raised:
        Played(exchange.perform(calls.user()), [refuses(status, "the words")])

    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("code", "kind"), [("name-taken", NameTaken), ("of-newer-nodes", errors.Conflict), (7, errors.Conflict)]
)
def test_a_refusal_is_raised_as_its_code_says(code: object, kind: type[errors.GutsError]) -> None:
    """The status gives the family, the code the member; one that this build does not know is no trouble."""
    with pytest.raises(kind, match="the words") as raised:
        Played(exchange.perform(calls.user()), [says(409, {"message": "the words", "code": code})])

    assert type(raised.value) is kind


def test_a_refusal_names_every_field() -> None:
    """``Validation Failed`` alone helps nobody."""
    body = {"message": "Validation Failed", "errors": [{"message": "name: taken"}, {"message": "x: bad"}, 7, {}]}

    with pytest.raises(errors.Refused, match=r"^Validation Failed: name: taken; x: bad$"):
        Played(exchange.perform(calls.user()), [says(422, body)])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 5}', b"\xff", b"[" * 100_000])
def test_a_refusal_without_words_is_told_by_its_number(body: bytes) -> None:
    """What a proxy in between says in HTML is not shown."""
    with pytest.raises(errors.NotFound, match=r"^GET /api/v3/user: status 404$"):
        Played(exchange.perform(calls.user()), [says(404, body)])


def test_what_is_not_final_tells_which_transaction() -> None:
    """By the header, for what the node composed; nonsense there is no id."""
    for header, expected in ((TX.hex(), TX), ("xyz", None), ("00", None)):
        with pytest.raises(NotFinal) as raised:
            Played(exchange.perform(calls.create_repository("x")), [refuses(504, guts_transaction=header)])
        assert raised.value.tx_id == expected


def test_a_list_goes_on_by_links() -> None:
    """Of the link only the path is followed: a node may know itself by another name, and no token goes there."""
    link = '<https://elsewhere.example/api/v3/user/repos?page=2>; rel="next", <x>; rel="last"'
    listing = calls.my_repositories()
    played = Played(exchange.page(listing, None), [says(body=[], link=link)])
    last = Played(exchange.page(listing, "/api/v3/user/repos?page=2"), [says(body=[])])

    assert played.result == ((), "/api/v3/user/repos?page=2")
    assert last.result == ((), None)
    assert last.paths == ["/api/v3/user/repos?page=2"]


def test_a_list_is_asked_for_page_by_page() -> None:
    """Nothing is asked for before it is wanted: one request a page, and none after the last."""
    first = Played(exchange.page(calls.branches("a/b"), None), [says(body=[], link='</x?page=2>; rel="next"')])

    assert first.paths == ["/api/v3/repos/a/b/branches?per_page=100"]
    assert first.result == ((), "/x?page=2")


def test_a_list_that_goes_in_circles_ends() -> None:
    """A next page that is this one would never end."""
    listing = calls.my_repositories()

    with pytest.raises(UnexpectedAnswer, match="next page is this page"):
        Played(exchange.page(listing, None), [says(body=[], link=f'<{listing.path}>; rel="next"')])


def test_reads_follow_a_renamed_repository() -> None:
    """Three times at most, and never a write, unless the node says that it stays one."""
    moved = says(301, {}, location="http://elsewhere.example/api/v3/repos/alice/new")
    shown = says(body=[])
    played = Played(exchange.page(calls.branches("alice/old"), None), [moved, shown])

    assert played.paths[1] == "/api/v3/repos/alice/new"
    with pytest.raises(UnexpectedAnswer):
        Played(exchange.perform(calls.user()), [moved] * 4)
    with pytest.raises(UnexpectedAnswer):
        Played(exchange.perform(calls.remove_collaborator("alice/old", "bob")), [moved])
    with pytest.raises(UnexpectedAnswer, match="leads nowhere"):
        Played(exchange.perform(calls.user()), [says(302, {}, location="somewhere")])


def test_waiting_for_finality() -> None:
    """Pending, then final: the pauses grow, and the end is returned."""
    pending = {**FINAL, "phase": "pending", "height": None, "index": None}
    played = Played(exchange.wait(calls.wait_final(TX)), [says(body=pending), says(body=pending), says(body=FINAL)])

    assert played.result.height == 3
    assert played.pauses == sorted(played.pauses)
    assert len(played.pauses) == 2


def test_waiting_ends_with_what_became_of_it() -> None:
    """A refusal by its code, an end that nothing will follow, and time that ran out."""
    refused = {**FINAL, "error": "name-taken", "message": "there is an alice/x"}
    strange = {**FINAL, "error": "of-newer-rules", "message": "hm"}
    expired = {**FINAL, "phase": "expired", "height": None, "index": None}
    pending = {**expired, "phase": "pending"}

    with pytest.raises(NameTaken, match="there is an alice/x"):
        Played(exchange.wait(calls.wait_final(TX)), [says(body=refused)])
    with pytest.raises(errors.Refused, match="hm"):
        Played(exchange.wait(calls.wait_final(TX)), [says(body=strange)])
    with pytest.raises(errors.Conflict, match="nothing will"):
        Played(exchange.wait(calls.wait_final(TX)), [says(body=expired)])
    with pytest.raises(NotFinal) as raised:
        Played(exchange.wait(calls.wait_final(TX, seconds=0)), [says(body=pending)])
    with pytest.raises(errors.NotFound):
        Played(exchange.wait(calls.wait_final(TX, seconds=0)), [refuses(404)])
    assert raised.value.tx_id == TX


def test_an_unknown_transaction_may_come_from_elsewhere() -> None:
    """It was handed to another node, and this one learns of it in its block."""
    played = Played(exchange.wait(calls.wait_final(TX)), [refuses(404), says(body=FINAL)])

    assert played.result.id == TX


WRONG: Sequence[tuple[Mapping[str, object], str]] = (
    ({"index": "0"}, "index: a whole number expected"),
    ({"index": True}, "index: a whole number expected"),
    ({"index": None}, "index: a whole number expected"),
    ({"name": 7}, "name: text expected"),
    ({"node_id": "00"}, "node_id: 64 hexadecimal digits expected"),
    ({"node_id": "zz" * 32}, "node_id: hexadecimal digits expected"),
    ({"vote_key": "FF"}, "vote_key: hexadecimal digits expected"),
    ({"operator": 5}, "operator"),
)


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_a_wrong_shape_is_told_by_its_field(change: Mapping[str, object], words: str) -> None:
    """A node of another kind, or one that lies, is no reason for a KeyError in a user's program."""
    with pytest.raises(UnexpectedAnswer, match=words):
        Played(exchange.perform(calls.validators()), [says(body=[{**VALIDATOR, **change}])])


@pytest.mark.parametrize("body", [b"", b"null", b"5", b"{}", b"[7]", b"[{}]", b"<html>", b"[null]", b"\x80"])
def test_something_else_than_an_answer_is_told(body: bytes) -> None:
    """Whatever answers at that address, it is no node."""
    with pytest.raises(UnexpectedAnswer, match=r"^GET /api/guts/v1/validators: "):
        Played(exchange.perform(calls.validators()), [says(body=body)])


def test_more_than_is_known_is_ignored() -> None:
    """A newer node says more."""
    played = Played(exchange.perform(calls.validators()), [says(body=[{**VALIDATOR, "colour": "red"}])])

    assert as_json(played.result) == [VALIDATOR]


def test_times_need_a_zone_and_commits_all_their_parts() -> None:
    """Fields that stand deep inside are found, or named."""
    person = {"name": "A", "email": "", "date": "2030-01-02T03:04:05Z"}
    inner: dict[str, object] = {"message": "m", "author": person, "committer": person, "tree": {"sha": "22" * 20}}
    shown: dict[str, object] = {"sha": "11" * 20, "commit": inner, "parents": [{"sha": "33" * 20}]}
    played = Played(exchange.perform(calls.commit("a/b", "main")), [says(body=shown)])

    assert played.result.parents == (bytes.fromhex("33" * 20),)
    assert as_json(played.result)["author"]["date"] == "2030-01-02T03:04:05.000Z"
    for broken, words in (
        ({**shown, "parents": [{}]}, r"parents|sha is missing"),
        ({**shown, "parents": 5}, "a list expected"),
        ({**shown, "commit": None}, r"commit\.\w+.* is missing"),
        ({**shown, "commit": {**inner, "author": {**person, "date": "2030-01-02"}}}, "zone"),
        ({**shown, "commit": {**inner, "author": {**person, "date": "soon"}}}, "date"),
    ):
        with pytest.raises(UnexpectedAnswer, match=words):
            Played(exchange.perform(calls.commit("a/b", "main")), [says(body=broken)])


def test_names_stay_names() -> None:
    """What a person typed never becomes another path, a query or another host."""
    assert calls.branch("a/b", "x/../y".replace("..", "…")).path == "/api/v3/repos/a/b/branches/x/%E2%80%A6/y"
    assert calls.commit("a/b", "50%?x=1#y").path == "/api/v3/repos/a/b/commits/50%25%3Fx%3D1%23y"
    assert calls.account("../status").path == "/api/guts/v1/accounts/..%2Fstatus"
    assert "sha=a%26b" in calls.commits("a/b", "a&b").path
    for bad in ("alice", "alice/", "/x", "a/b/c", "../b", "a/.."):
        with pytest.raises(errors.Invalid):
            calls.repository(bad)
    with pytest.raises(errors.Invalid):
        calls.branch("a/b", "../../user")


def test_an_address_is_an_address() -> None:
    """Secrets and paths in it are refused in words that do not repeat them."""
    for base in (
        "localhost:80",
        "ftp://x",
        "http://",
        "http://x/path",
        "http://x?q=1",
        "http://alice:secret@x",
        "http://x:99999",
        "http://[",
    ):
        with pytest.raises(errors.Invalid) as raised:
            address(base, None, None, 1.0)
        assert "secret" not in str(raised.value)
    with pytest.raises(errors.Invalid) as told:
        address("http://x", "guts_pat_\nHost: y", None, 1.0)

    assert "guts_pat" not in str(told.value)
    assert "guts_pat" not in repr(address("http://x/", "guts_pat_x", None, 1.0))
    assert address("http://x/", None, None, 1.0).base == "http://x"


def test_one_reads_a_quota_as_a_limit() -> None:
    """What the port calls quota-exhausted keeps its class when it comes by a receipt."""
    spent = {**FINAL, "error": QuotaExhausted.code, "message": "no more"}

    with pytest.raises(QuotaExhausted):
        Played(exchange.wait(calls.wait_final(TX)), [says(body=spent)])
    with pytest.raises(UnexpectedAnswer, match="one of"):
        one(Transaction, {**FINAL, "phase": "late"}, "x")
