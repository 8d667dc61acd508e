"""A repository as git reaches it: through which node, with which token, and what a failure means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from guts_core.errors import GutsError, NotAllowed, NotFound, Refused, Unauthenticated
from guts_http.client import Client, open_client

from .acting import known_token, open_network
from .git import GitEnded, Helper, ask_git, run_git
from .outcomes import Said, Usage, other_token
from .shape import wants_json
from .target import Target, parse_target

MAKE_TOKEN = "guts token create --scope repo --gateway all --save"  # noqa: S105 -- a command to type


@frozen
class Remote:
    """One repository at one node."""

    target: Target
    base: str
    helper: Helper
    token: str | None
    network: str  # its id

    @property
    def url(self) -> str:
        """What git is told."""
        return self.target.url(self.base)

    def run(
        self, arguments: Sequence[str], settings: Sequence[str] = (), more: Mapping[str, str] | None = None
    ) -> None:
        """Run git with this repository's credentials; GitEnded when it fails."""
        given = self.helper.once() if self.token else ()
        code = run_git(arguments, (*given, *settings), may_ask=not self.token, to_stderr=wants_json(), more=more)
        if code:
            raise self._why(arguments[0], code)

    def _why(self, verb: str, code: int) -> GitEnded:
        refusal = self._refusal(verb)
        if refusal is None:
            return GitEnded(f"git {verb} ended with exit code {code}", code)
        is_tokens = isinstance(refusal, Unauthenticated | NotAllowed)
        following = other_token(MAKE_TOKEN) if is_tokens else "guts repo list"
        return GitEnded(str(refusal), code, refusal.code, following)

    def _refusal(self, verb: str) -> Refused | None:
        """What the node says of the token, and of the repository. Git's own words stand on the terminal already."""
        try:
            with open_client(self.base, self.token) as client:
                if self.token is None and verb == "push":
                    return Unauthenticated("a push needs a token, and none is saved here")
                user = None if self.token is None else client.user().name
                return self._missing(client, user, verb)
        except Refused as error:
            return error
        except GutsError:
            pass
        return None

    def _missing(self, client: Client, user: str | None, verb: str) -> Refused | None:
        name = self.target.full_name
        try:
            client.repository(name)
        except NotFound as error:
            if user is None:
                return Unauthenticated(f"{name} is private or not there, and no token is saved here")
            if verb == "push" and user == self.target.owner:
                # It would have been created: what the node had against that stands above, in git's output.
                return NotAllowed(f"{name} is not there, and this push did not create it")
            return error
        return None

    def said(self, words: str, following: str, **more: object) -> Said:
        """The answer after git is done."""
        data = {"repository": self.target.full_name, "node": self.base, "url": self.url, **more}
        return Said(data, words, following)


def open_remote(target: Target, node: str | None, account: str | None) -> Remote:
    """The repository at the first node that answers; the token is looked up, not asked for."""
    near = target.base
    if node is not None and near is not None:
        raise Usage("the URL names a node and --node another: leave one away")
    with open_network(node, near=near) as network:
        token = known_token(network, account)
        base = network.client.base
        held = network.key(account).id if account else network.context.account if network.context else None
        words = ["--network", network.chain_id.hex(), *(["--account", held] if held else [])]
        network.home.remember_repository(network.chain_id.hex(), target.full_name)
    return Remote(target, base, Helper(base, tuple(words)), token, network.chain_id.hex())


def remote_here(verb: str, node: str | None, account: str | None) -> tuple[Remote, tuple[str, ...]]:
    """
    The repository that the working directory pushes to and pulls from, and the settings that lead git there.

    Where the node it was cloned from does not answer, git takes another of its network in that one's place.
    """
    branch = ask_git("symbolic-ref", "--short", "-q", "HEAD")
    name = (branch and ask_git("config", f"branch.{branch}.remote")) or "origin"
    url = ask_git("config", f"remote.{name}.url")
    if url is None:
        require_work_tree()
        raise Usage("this repository has no remote yet: name one as OWNER/NAME", f"guts {verb} OWNER/NAME")
    target = parse_target(url)
    assert target.base is not None, "a URL was parsed"
    remote = open_remote(target if node is None else Target(target.owner, target.name), node, account)
    instead = () if remote.base == target.base else (f"url.{remote.base}/.insteadOf={target.base}/",)
    return remote, instead


def require_work_tree() -> None:
    """Usage where git would not know what to do."""
    if ask_git("rev-parse", "--git-dir") is None:
        raise Usage("this directory is no git repository", "git init -b main")


def current_branch() -> str:
    """The branch that is checked out, with a commit on it."""
    require_work_tree()
    branch = ask_git("symbolic-ref", "--short", "-q", "HEAD")
    if branch is None:
        raise Usage("no branch is checked out here", "git switch -c NAME")
    if ask_git("rev-parse", "--verify", "-q", "HEAD") is None:
        raise Usage(f"there is nothing on branch {branch} yet", "git add . && git commit -m 'First commit'")
    return branch
