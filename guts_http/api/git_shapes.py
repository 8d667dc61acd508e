"""Refs and commits as the JSON that clients of GitHub's API read; ``repo`` is the URL of the repository's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from guts_core.errors import Corrupt
from guts_core.forge import queries
from guts_core.forge.records import Ref
from guts_core.git.commits import CommitObject, Stamp
from guts_core.git.refs import BRANCHES, TAGS
from guts_core.names import Oid
from guts_http.reader import Snapshot
from guts_http.routing import Asked

from .shapes import node_id

# Commits may say any number; JSON's readers want a year with four digits.
_SECONDS_MAX = 253_402_300_799


def repository_path(asked: Asked, snapshot: Snapshot) -> str:
    """``owner/name``, as both are written."""
    owner = queries.account(snapshot, asked.repo.owner)
    if owner is None:
        raise Corrupt("the owner of a repository is not stored")
    return f"{owner.name}/{asked.repo.name}"


def repository_url(asked: Asked, snapshot: Snapshot) -> str:
    """Where the API shows the repository."""
    return f"{asked.base_url}/api/v3/repos/{repository_path(asked, snapshot)}"


def branch(repo: str, ref: Ref) -> dict[str, Any]:
    """A branch in a list."""
    return {"name": ref.name.removeprefix(BRANCHES), "commit": _commit_link(repo, ref.oid), "protected": False}


def branch_with_commit(repo: str, ref: Ref, found: CommitObject) -> dict[str, Any]:
    """A branch on its own, with the whole commit at its tip."""
    name = ref.name.removeprefix(BRANCHES)
    place = quote(name, safe="/")
    return {
        "name": name,
        "commit": commit(repo, ref.oid, found),
        "_links": {"self": f"{repo}/branches/{place}", "html": f"{_page(repo)}/tree/{place}"},
        "protected": False,
    }


def tag(repo: str, ref: Ref, end: Oid) -> dict[str, Any]:
    """A tag in a list; ``end`` is what it leads to."""
    name = ref.name.removeprefix(TAGS)
    return {"name": name, "commit": _commit_link(repo, end), "node_id": node_id("Ref", ref.name.encode())}


def git_ref(repo: str, ref: Ref, kind: str) -> dict[str, Any]:
    """A ref by its full name."""
    sha = ref.oid.hex()
    return {
        "ref": ref.name,
        "node_id": node_id("Ref", ref.name.encode()),
        "url": f"{repo}/git/{quote(ref.name, safe='/')}",
        "object": {"type": kind, "sha": sha, "url": f"{repo}/git/{kind}s/{sha}"},
    }


def commit(repo: str, oid: Oid, found: CommitObject) -> dict[str, Any]:
    """A commit. Whose accounts author and committer are is not known: their addresses prove nothing."""
    sha = oid.hex()
    tree = None if found.tree is None else found.tree.hex()
    return {
        **_commit_link(repo, oid),
        "node_id": node_id("Commit", oid),
        "html_url": f"{_page(repo)}/commit/{sha}",
        "commit": {
            "url": f"{repo}/git/commits/{sha}",
            "author": _stamp(found.author),
            "committer": _stamp(found.committer),
            "message": found.message,
            "tree": {"sha": tree, "url": f"{repo}/git/trees/{tree}"},
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unknown_key" if found.is_signed else "unsigned",
                "signature": None,
                "payload": None,
            },
        },
        "author": None,
        "committer": None,
        "parents": [
            {**_commit_link(repo, one), "html_url": f"{_page(repo)}/commit/{one.hex()}"} for one in found.parents
        ],
    }


def _commit_link(repo: str, oid: Oid) -> dict[str, str]:
    return {"sha": oid.hex(), "url": f"{repo}/commits/{oid.hex()}"}


def _page(repo: str) -> str:
    return repo.replace("/api/v3/repos/", "/", 1)


def _stamp(stamp: Stamp) -> dict[str, str]:
    time = datetime.fromtimestamp(min(max(stamp.seconds, 0), _SECONDS_MAX), UTC)
    return {"name": stamp.name, "email": stamp.email, "date": f"{time:%Y-%m-%dT%H:%M:%SZ}"}
