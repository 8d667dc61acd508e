"""The doors put together: git as raw ASGI, everything else Quart-Trio, both behind the middlewares."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Any

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from guts_core.chain.genesis import Genesis
from guts_core.chain.texts import DIRECTORY
from guts_core.errors import GutsError

from .api import (
    archives,
    blocks,
    commits,
    comparing,
    contents,
    git_data,
    governance,
    joining,
    lifecycle,
    network,
    operations,
    proofs,
    reflog,
    repositories,
    texts,
    tokens,
    transactions,
    user,
)
from .clients import Trusted
from .git import answers
from .git import routes as git_routes
from .git.door import GitDoor
from .metrics import Metrics
from .middleware import Access, AccessLog, BodyLimit, FinishCleanly, Receive, Send, refuse
from .packs.door import PacksDoor, is_packs
from .port import Port
from .problems import Answer, TooManyRequests, answer_to
from .proxies import Forwarded
from .rates import RateLimit, Rates
from .reader import Reader
from .room import UntilSent
from .routing import Reply, Route, check_all_declared, install, respond
from .serving import AsgiApp
from .site import Settings, Site
from .texts import Texts

log = logging.getLogger("guts.http")
# What the framework refuses on its own, where none of our errors was raised.
_HTTP_CODES = {404: "no-such-route", 405: "no-such-method", 413: "too-large"}


def wall_ms() -> int:
    """This machine's clock."""
    return time_ns() // 1_000_000


def create_app(
    port: Port,
    database: Path,
    genesis: Genesis,
    settings: Settings | None = None,
    *,
    tell: Callable[[Access], None] = lambda _: None,
    clock_ms: Callable[[], int] = wall_ms,
) -> AsgiApp:
    """The whole HTTP side of one node, to be given to ``serving.serve``; ``tell`` hears of each request."""
    site = Site(port, Reader(database, genesis), settings or Settings(), clock_ms)
    metrics = Metrics()

    def note(access: Access) -> None:
        metrics.count(access)
        tell(access)

    inner = Dispatcher(GitDoor(site), PacksDoor(site), UntilSent(create_api(site, metrics)))
    limited = BodyLimit(inner, lambda scope: _limit(site, scope), site.settings.body_idle_seconds)
    rated = RateLimit(limited, Rates(site.settings.requests_per_second), _too_many)
    return Forwarded(FinishCleanly(AccessLog(rated, note)), Trusted(site.settings.trusted_proxies))


class Dispatcher:
    """git requests to the git door, packs to theirs, all others to the API."""

    def __init__(self, git: AsgiApp, packs: AsgiApp, api: AsgiApp) -> None:
        self._git, self._packs, self._api = git, packs, api

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, or obey the lifespan."""
        door = self._git if git_routes.is_git(scope) else self._packs if is_packs(scope) else self._api
        await door(scope, receive, send)


def all_routes(metrics: Metrics) -> list[Route]:
    """Every route with what it needs."""
    groups = (
        user.routes,
        repositories.routes,
        git_data.routes,
        commits.routes,
        contents.routes,
        comparing.routes,
        archives.routes,
        lifecycle.routes,
        reflog.routes,
        texts.routes,
        tokens.routes,
        network.routes,
        governance.routes,
        joining.routes,
        blocks.routes,
        transactions.routes,
        proofs.routes,
        operations.routes_with(metrics),
    )
    return [route for group in groups for route in group.declared]


def create_api(site: Site, metrics: Metrics) -> QuartTrio:
    """The Quart application; AssertionError when a route stands without a declared permission."""
    app = QuartTrio("guts_http", static_folder=None)
    # BodyLimit has the one limit; Quart's own would only differ from it between versions (B4).
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["BODY_TIMEOUT"] = None
    routes = all_routes(metrics)
    install(app, site, Texts(site.reader.directory / DIRECTORY), routes)
    check_all_declared(app, routes)
    _answer_errors(app, site)

    @app.after_serving
    async def close() -> None:
        site.reader.close()

    return app


def _answer_errors(app: QuartTrio, site: Site) -> None:
    def problem(answer: Answer) -> Response:
        base = site.base_url(request.headers.get("Host"), request.scheme)
        body: dict[str, Any] = {"message": answer.message, "documentation_url": f"{base}/#api"}
        general = _githubs_words(answer)
        if general not in (None, answer.message):
            body.update(message=general, detail=answer.message)
        if answer.errors:
            body["errors"] = [
                {"resource": one.resource, "field": one.field, "code": one.code, "message": one.message}
                for one in answer.errors
            ]
        body.update(status=str(answer.status), code=answer.code)
        headers = dict(answer.headers)
        if answer.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="Guts"'
        return respond(Reply(body, answer.status, headers), personal=True)

    @app.errorhandler(GutsError)
    async def of_ours(error: GutsError) -> Response:
        answer = answer_to(error)
        if answer.status == 500:
            log.error("%s %s failed: %s", request.method, request.path, error)
        return problem(answer)

    @app.errorhandler(HTTPException)
    async def of_http(error: HTTPException) -> Response:
        status = error.code or 500
        words = "Not Found" if status == 404 else error.name
        methods = sorted(getattr(error, "valid_methods", None) or ())
        headers = {"Allow": ", ".join(methods)} if methods else {}
        return problem(Answer(status, words, _HTTP_CODES.get(status, "bad-request"), headers))

    @app.errorhandler(Exception)
    async def of_bugs(error: Exception) -> Response:
        log.error("%s %s met a bug", request.method, request.path, exc_info=error)
        return problem(Answer(500, "this node made a mistake; its operator finds it in the log", "bug"))


def _githubs_words(answer: Answer) -> str | None:
    """GitHub's clients choose their exceptions by these very texts; ours stands beside as ``detail``."""
    if not request.path.startswith("/api/v3/"):
        return None
    if answer.status == 404:
        return "Not Found"
    return "Bad credentials" if answer.status == 401 and "Authorization" in request.headers else None


async def _too_many(scope: Any, send: Send, refusal: TooManyRequests) -> None:
    if git_routes.is_git(scope):
        await answers.failed(send, refusal)
    else:
        await refuse(send, 429, str(refusal), [(b"retry-after", str(refusal.retry_seconds).encode())])


def _limit(site: Site, scope: Any) -> int | None:
    return None if git_routes.is_git(scope) else site.settings.json_bytes_max
