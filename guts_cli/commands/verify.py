"""``guts verify``."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import click
from click.core import ParameterSource

from guts_cli.asking import places, token_for, verified_here
from guts_cli.completing import complete_repository
from guts_cli.home import Home, user_home
from guts_cli.outcomes import EXIT_CODES, EXIT_OK, Misconfigured, Said, Usage, printable, show
from guts_cli.pinned import pinned, read_genesis
from guts_cli.proven import as_object, as_text
from guts_cli.shape import command, wants_json
from guts_cli.target import parse_target
from guts_core.chain.genesis import Genesis
from guts_core.errors import GutsError, NotFound, remade
from guts_core.names import ChainId
from guts_core.proof import ProvenRef, Question, Verified, network_of
from guts_core.proof.faults import TooOld
from guts_core.proof.format import PROOF_BYTES_MAX
from guts_core.proof.questions import about_ref, about_refs, about_transaction
from guts_core.state.proof import BadProof

_AGE = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_LIKE_A_REPOSITORY = re.compile(r"[^/.][^/]*/[^/]*")
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
HELP = "guts verify --help"
EXIT_ABSENT = EXIT_CODES[NotFound.code]


@command(name="verify")
@click.argument("target", metavar="[OWNER/NAME[@REF] | FILE]", required=False, shell_complete=complete_repository)
@click.option("--tx", help="Verify this transaction: who signed it, and what became of it.")
@click.option(
    "--node",
    "nodes",
    envvar="GUTS_NODE",
    multiple=True,
    help="URL of a node to ask; several are asked in turn, until one proves it.  [default: those of the context]",
)
@click.option(
    "--genesis",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The network's genesis file.  [default: the networks that `guts network trust` pinned]",
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Keep the proof in this file.")
@click.option("--max-age", help="Refuse what was shown longer ago: 90s, 10m, 12h, 7d.")
@click.option("--min-height", type=click.IntRange(min=1), help="Refuse what was so at a lower height than this.")
def verify_(
    *,
    target: str | None,
    tx: str | None,
    nodes: tuple[str, ...],
    genesis: Path | None,
    save: Path | None,
    max_age: str | None,
    min_height: int | None,
) -> int:
    """Check a repository, a ref or a transaction by a proof that needs no trust in any node.

    OWNER/NAME@REF is one ref, OWNER/NAME the complete set of them; FILE is a saved proof, for which no
    node is asked. A proof says what was true at its height: --max-age and --min-height refuse one that is
    too old.
    """
    most_ms = None if max_age is None else _milliseconds(max_age)
    asked, home = _asked(target, tx, nodes), user_home()
    now_ms = time.time_ns() // 1_000_000

    def judge(data: bytes, expected: ChainId | None) -> Verified:
        question = None if isinstance(asked, Path) else asked
        expected = expected or (None if genesis and question else network_of(data))
        verified = verified_here(data, _genesis(genesis, home, expected), question)
        if most_ms is not None and now_ms - verified.time > most_ms:
            raise TooOld(f"the proof is of {(now_ms - verified.time) // 1000} s ago; at most {max_age} is accepted")
        if min_height is not None and verified.height < min_height:
            raise TooOld(f"the proof is of height {verified.height}; at least {min_height} is accepted")
        return verified

    if isinstance(asked, Path):
        data = _read(asked)
        verified = judge(data, None)
    else:
        verified, data = _first_proven(asked, nodes, home, judge)
    if save is not None:
        save.write_bytes(data)
    return _tell(verified, now_ms, save)


def _tell(verified: Verified, now_ms: int, saved: Path | None) -> int:
    is_absent = isinstance(verified.answer, ProvenRef) and verified.answer.oid is None
    object_ = {**as_object(verified), "saved": None if saved is None else str(saved)}
    following = f"guts verify {shlex.quote(str(saved))}" if saved else None
    show(Said(object_, as_text(verified, now_ms), following), wants_json())
    return EXIT_ABSENT if is_absent else EXIT_OK


# ---- what to verify, and where it comes from ----


def _asked(target: str | None, tx: str | None, nodes: tuple[str, ...]) -> Question | Path:
    if (target is None) == (tx is None):
        raise Usage("verify what? one of OWNER/NAME@REF, OWNER/NAME, --tx ID, or the file of a saved proof", HELP)
    if tx is not None:
        return about_transaction(tx)
    assert target is not None
    source = click.get_current_context().get_parameter_source("nodes")
    if (not nodes or source is not ParameterSource.COMMANDLINE) and Path(target).is_file():
        return Path(target)
    name, at, ref = target.partition("@")
    if "://" not in name and not _LIKE_A_REPOSITORY.fullmatch(name):
        raise Usage(f"there is no file {target[:200]!r}, and it names no repository: write OWNER/NAME@REF", HELP)
    found = parse_target(name)
    if found.base is not None:
        raise Usage("name the node with --node URL, and the repository as OWNER/NAME")
    return about_ref(found.owner, found.name, ref) if at else about_refs(found.owner, found.name)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PROOF_BYTES_MAX + 1)


Judge = Callable[[bytes, ChainId | None], Verified]


def _first_proven(question: Question, named: tuple[str, ...], home: Home, judge: Judge) -> tuple[Verified, bytes]:
    """What the first of the nodes proves; those before it that gave nothing, or a false proof, are told in a line."""
    from guts_cli.acting import in_one_sentence  # noqa: PLC0415 -- a saved proof is verified without sockets
    from guts_http.client import Unreachable, open_client  # noqa: PLC0415 -- likewise

    asked = places(named, home)
    if not asked:
        raise Misconfigured("no network is known here", "the same command with --node URL")
    away: list[tuple[str, str]] = []
    failed: list[tuple[str, BadProof | NotFound]] = []
    for url, context in asked:
        expected = ChainId(bytes.fromhex(context.chain_id)) if context else None
        try:
            with open_client(url, token_for(home, context)) as client:
                data = client.proof(question)
            verified = judge(data, expected)
        except Unreachable as error:
            away.append((url, str(error)))
        except BadProof as error:
            failed.append((url, error))
        except NotFound as error:
            failed.append((url, NotFound(f"{url} says: {error} (its word, not a proof)")))
        else:
            _tell_passed_over(away, failed)
            return verified, data
    raise _worst(failed, len(asked)) if failed else Unreachable(in_one_sentence(away))


def _tell_passed_over(away: list[tuple[str, str]], failed: list[tuple[str, BadProof | NotFound]]) -> None:
    for url, _ in away:
        click.echo(f"guts: {printable(url)} does not answer; another node was asked", err=True)
    for url, error in failed:
        words = str(error) if isinstance(error, NotFound) else f"{url}: {error}"
        click.echo(f"guts: {printable(words)}; another node was asked", err=True)


def _worst(failed: list[tuple[str, BadProof | NotFound]], asked: int) -> GutsError:
    """A false proof before somebody's word; with the node that gave it, where several were asked."""
    url, error = min(failed, key=lambda one: isinstance(one[1], NotFound))
    if asked == 1 or isinstance(error, NotFound):
        return error
    return remade(type(error), f"{url}: {error}")


def _genesis(given: Path | None, home: Home, chain_id: ChainId | None) -> Genesis:
    if given is not None:
        return read_genesis(given).genesis
    assert chain_id is not None
    return pinned(home, chain_id)


def _milliseconds(text: str) -> int:
    found = _AGE.fullmatch(text)
    if not found:
        raise Usage(f"--max-age {text[:30]!r} is not a number of seconds, minutes, hours or days such as 10m")
    return int(found[1]) * _UNITS_MS[found[2]]
