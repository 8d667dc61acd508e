"""The git door: routes a git request, bounds how many work at once, and answers what fails."""

from __future__ import annotations

from typing import Any

from guts_core.errors import GutsError
from guts_http.asker import Asker, client_of
from guts_http.middleware import Message, Receive, Send
from guts_http.site import Site

from . import answers, protocol_v2, receive_pack, routes, upload_pack
from .body import ClientGone
from .protocol_v2 import ProtocolV2
from .routes import GitRequest, Service, Target


class GitDoor:
    """An ASGI application for what ``routes.is_git`` recognizes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._fetches = site.turns(site.settings.fetches_max, "clones and fetches")
        self._pushes = site.turns(site.settings.pushes_max, "pushes")
        self._v2 = ProtocolV2(site, self._fetches)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = _Started(send)
        try:
            await self._serve(scope, receive, answer.send)
        except ClientGone:
            return
        except GutsError as error:
            await answer.fail(error)
        except BaseExceptionGroup as group:
            await answer.fail(_blamed(group))

    async def _serve(self, scope: Any, receive: Receive, send: Send) -> None:
        request = routes.parse(scope)
        target = await self._target(scope, request)
        if request.service is Service.UPLOAD_PACK:
            await self._upload(target, request, scope, receive, send)
            return
        await self._site.check_writes()
        if request.is_advertisement:
            await receive_pack.advertise(self._site, _id(target), send)
        else:
            async with self._pushes.one(client_of(scope)):
                await receive_pack.push(self._site, target, request, scope, receive, send)

    async def _target(self, scope: Any, request: GitRequest) -> Target:
        node = await self._site.node_id()
        with self._site.reader.snapshot() as snapshot:
            target = routes.target(self._site, snapshot, scope, request, node)
        if target.repository is not None and target.repository.private and request.service is Service.UPLOAD_PACK:
            await self._site.check_private_reads()
        return target

    async def _upload(self, target: Target, request: GitRequest, scope: Any, receive: Receive, send: Send) -> None:
        repo = _id(target)
        assert repo is not None
        asker = Asker(self._site, target.caller.principal, repo, client_of(scope))
        if not protocol_v2.speaks_it(scope):
            async with self._fetches.one(asker.client):
                if request.is_advertisement:
                    await upload_pack.advertise(asker, scope, receive, send)
                else:
                    await upload_pack.fetch(asker, scope, receive, send)
        elif request.is_advertisement:
            await self._v2.advertise(send)
        else:
            body = upload_pack.body_of(self._site, scope, receive)
            await self._v2.answer(asker, body, receive, send)


class _Started:
    """Remembers whether an answer has begun: from then on only cutting it off tells of a failure."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False

    async def send(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def fail(self, error: GutsError) -> None:
        if self._begun:
            raise error
        await answers.failed(self._send, error)


def _id(target: Target) -> Any:
    return None if target.repository is None else target.repository.id


def _blamed(group: BaseExceptionGroup[BaseException]) -> GutsError:
    """The one error that a nursery wrapped; anything else goes on as it is."""
    ours, rest = group.split(GutsError)
    if ours is None or rest is not None:
        raise group
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GutsError)
    return error
