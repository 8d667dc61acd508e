"""Records as the JSON that clients of GitHub's API read."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from guts_core.forge import queries
from guts_core.forge.permissions import Permission, may
from guts_core.forge.records import Account, Repository
from guts_core.git.refs import branch_of
from guts_core.names import RefName
from guts_http.reader import Snapshot
from guts_http.routing import Asked


def time_text(milliseconds: int) -> str:
    """RFC 3339 to the second, as GitHub writes times."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_time_text(milliseconds: int) -> str:
    """RFC 3339 to the millisecond."""
    whole = datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{milliseconds % 1000:03d}Z"


def node_id(kind: str, record_id: bytes) -> str:
    """GitHub's opaque global id: ours is the kind and the record's own id."""
    return b64encode(kind.encode() + b":" + record_id).decode("ascii")


def user(account: Account, base_url: str) -> dict[str, Any]:
    """An account as GitHub's simple user."""
    return {
        "login": account.name,
        "id": account.number,
        "node_id": node_id("User", account.id),
        "avatar_url": "",
        "url": f"{base_url}/api/v3/users/{account.name}",
        "html_url": f"{base_url}/{account.name}",
        "repos_url": f"{base_url}/api/v3/users/{account.name}/repos",
        "type": "User",
        "site_admin": account.is_operator,
    }


def repository(asked: Asked, snapshot: Snapshot, found: Repository) -> dict[str, Any]:
    """A repository as GitHub's full repository, as this caller sees it."""
    owner = queries.account(snapshot, found.owner)
    assert owner is not None
    full_name, base = f"{owner.name}/{found.name}", asked.base_url
    return {
        "id": found.number,
        "node_id": node_id("Repository", found.id),
        "name": found.name,
        "full_name": full_name,
        "private": found.private,
        "visibility": "private" if found.private else "public",
        "owner": user(owner, base),
        "description": asked.texts.description(snapshot, found),
        "url": f"{base}/api/v3/repos/{full_name}",
        "html_url": f"{base}/{full_name}",
        "clone_url": f"{base}/{full_name}.git",
        "ssh_url": None,
        "git_url": None,
        "default_branch": branch_of(RefName(found.default_branch)),
        "created_at": time_text(found.created),
        "updated_at": time_text(found.updated),
        "pushed_at": time_text(found.pushed) if found.pushed else None,
        "size": found.bytes_stored // 1024,
        "fork": False,
        "archived": False,
        "disabled": False,
        "permissions": permissions(asked, snapshot, found),
    }


def permissions(asked: Asked, snapshot: Snapshot, found: Repository) -> dict[str, bool]:
    """What this caller may do, its credential included."""
    return {
        name: may(asked.caller.principal, permission, found, snapshot)
        for name, permission in (
            ("admin", Permission.ADMIN_REPOSITORY),
            ("push", Permission.WRITE_REPOSITORY),
            ("pull", Permission.READ_REPOSITORY),
        )
    }
