"""This machine, and what its user keeps: programs, ``GUTS_HOME``, networks, the token."""

from __future__ import annotations

import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from guts_cli.acting import PROBE_SECONDS
from guts_cli.home import Context, Home
from guts_cli.keys import read_account_key
from guts_cli.pinned import TRUST, all_pinned
from guts_cli.private_files import read_private
from guts_cli.saved_tokens import kept_token
from guts_core.errors import GutsError, Unauthenticated
from guts_core.git.command import check_git_version
from guts_http.client import Token, open_client

from .finding import Finding, looked, well, wrong

PYTHON_LEAST = (3, 11)
GIT_SECONDS = 10
# Time to make the next one at leisure.
TOKEN_DAYS = 7
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
MAKE_TOKEN = "guts token create --scope repo --gateway all --save"  # noqa: S105 -- a command to type
DEBIAN_GIT = "sudo apt install git, or https://git-scm.com/downloads"


def look_at_home(home: Home, environment: dict[str, str], *, needs_network: bool = True) -> Iterator[Finding]:
    """Everything, one thing after another; without ``needs_network`` it is no failure to know none."""
    yield from looked("python", _python, "https://www.python.org/downloads")
    yield from looked("git", _git, DEBIAN_GIT)
    yield from looked("home", partial(_home, home), f"chmod 700 {home.path}")
    yield from looked("secrets", partial(_secrets, home), "guts key show")
    yield from looked("contexts", partial(_contexts, home, environment, needs_network=needs_network), "guts up")


def _python(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    if version < PYTHON_LEAST:
        words = f"python {version[0]}.{version[1]} is too old: 3.11 or later is needed"
        yield wrong("python", words, "https://www.python.org/downloads")
    else:
        yield well("python", f"python {platform.python_version()}")


def _git() -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield wrong("git", "git is not installed, or not on PATH", DEBIAN_GIT)
        return
    said = subprocess.run(["git", "version"], capture_output=True, check=False, timeout=GIT_SECONDS).stdout
    major, minor = check_git_version(said)
    yield well("git", f"git {major}.{minor}")


def _home(home: Home) -> Iterator[Finding]:
    if not home.path.exists():
        yield well("home", f"{home.path} is not there yet; the first command that keeps something makes it")
        return
    mode = home.path.stat().st_mode
    if mode & _WRITABLE:
        words = f"{home.path} can be changed by others (mode {stat.S_IMODE(mode):03o})"
        yield wrong("home", words, f"chmod 700 {home.path}")
    else:
        yield well("home", f"{home.path} is yours alone to change")


def _secrets(home: Home) -> Iterator[Finding]:
    keys = _files(home.path / "keys")
    files = [*keys, *_files(home.path / "tokens")]
    bad = [found for path in files for found in looked("secrets", partial(_secret, path), f"ls -l {path}")]
    yield from bad
    if files and not bad:
        yield well("secrets", f"{len(files)} keys and tokens, readable by you alone")


def _secret(path: Path) -> Iterator[Finding]:
    read_private(path)
    if path.parent.name == "keys" and path.suffix == ".json":
        read_account_key(path)
    yield from ()


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []


def _contexts(home: Home, environment: dict[str, str], *, needs_network: bool) -> Iterator[Finding]:
    known = home.contexts()
    current = home.current()
    if current is None and not known.contexts:
        if needs_network:
            yield wrong("contexts", "no network is known here", "guts up, or guts context add URL")
        return
    if current is None:
        names = ", ".join(known.contexts)
        yield wrong("contexts", f"no context is chosen; there are {names}", f"guts context use {min(known.contexts)}")
    for context in known.contexts.values():
        yield from _context(home, context, environment, is_current=context == current)


def _context(home: Home, context: Context, environment: dict[str, str], *, is_current: bool) -> Iterator[Finding]:
    said = dict(_chains(context.nodes))
    strangers = [url for url, chain_id in said.items() if chain_id != context.chain_id]
    answering = next((url for url in said if url not in strangers), None)
    for url in strangers:
        words = f"context {context.name}: {url} belongs to another network ({said[url][:12]})"
        yield wrong("contexts", words, f"guts context remove {context.name}, then guts context add URL")
    if answering is not None:
        yield well("contexts", f"context {context.name}: {answering} answers")
    elif not is_current:
        yield well("contexts", f"context {context.name}: no node answers now; it is not the one in use")
    elif not strangers:
        words = f"context {context.name}: no node answers ({', '.join(context.nodes)})"
        yield wrong("contexts", words, "guts up, guts devnet start, or guts context use NAME")
    if is_current:
        yield from looked("genesis", partial(_pinned, home, context), TRUST)
        yield from looked("token", partial(_token, home, context, answering, environment), MAKE_TOKEN)


def _chains(urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those that answer, and which network they belong to."""
    for url in urls:
        with suppress(GutsError), open_client(url, seconds=PROBE_SECONDS) as client:
            yield url, client.status().chain_id.hex()


def _pinned(home: Home, context: Context) -> Iterator[Finding]:
    pinned = {file.chain_id.hex(): file for file in all_pinned(home)}
    found = pinned.get(context.chain_id)
    if found is None:
        words = f"network {context.name} is not pinned: what its nodes say cannot be checked"
        yield wrong("genesis", words, TRUST)
    else:
        yield well("genesis", f"network {found.genesis.name} is pinned, {len(found.genesis.validators)} validators")


def _token(home: Home, context: Context, url: str | None, environment: dict[str, str]) -> Iterator[Finding]:
    token = environment.get("GUTS_TOKEN") or (
        kept_token(home, context.chain_id, context.account) if context.account else None
    )
    if token is None:
        yield wrong("token", f"no token is saved for network {context.name}", MAKE_TOKEN)
    elif url is None:
        yield well("token", "a token is saved; no node answers that could tell more")
    else:
        yield _live(url, token)


def _live(url: str, token: str) -> Finding:
    try:
        with open_client(url, token, seconds=PROBE_SECONDS) as client:
            shown: Token | None = next((one for one in client.tokens() if one.current), None)
    except Unauthenticated as error:
        return wrong("token", f"the token is no good at {url}: {error}", MAKE_TOKEN)
    if shown is None:
        return wrong("token", f"the token is unknown at {url}", MAKE_TOKEN)
    if shown.expires - datetime.now(UTC) < timedelta(days=TOKEN_DAYS):
        return wrong("token", f"the token expires at {shown.expires:%Y-%m-%d %H:%M} UTC", MAKE_TOKEN)
    return well("token", f"the token is good until {shown.expires:%Y-%m-%d} ({', '.join(shown.scopes)})")
