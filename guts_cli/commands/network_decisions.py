"""``guts network propose ... | vote | show``: what the operators of validators decide together."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from guts_cli.acting import open_network
from guts_cli.operating import (
    Council,
    candidacy_from_json,
    newest,
    next_of,
    open_council,
    operator_options,
    seat_of,
    sentence,
)
from guts_cli.outcomes import Said, Usage
from guts_cli.shape import command
from guts_core.forge.actions import ProposeDecision, VoteDecision
from guts_core.forge.decisions import Change, ChangeRules, EndEpoch, RemoveValidator, SetParameters
from guts_core.forge.tuning import parameter
from guts_http.client import as_json
from guts_http.client.council import Decision

NOW = click.option("--now", is_flag=True, help="Its approval ends the epoch: it takes effect within a block or two.")
NODE = click.option(
    "--node", envvar="GUTS_NODE", metavar="URL", help="Talk to this node.  [default: one of the context's]"
)
_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ASSIGNMENT = re.compile(r"([a-z_]+)=(\S+)")


@command()
@click.argument("entry_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@NOW
@operator_options
def add(*, entry_file: Path, now: bool, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Propose to give the node of ENTRY_FILE a seat.

    The file comes from the node's own machine (`guts network entry --operator ACCOUNT`); both keys of the
    node signed it, for this network alone. Once approved the node follows at once, and votes from the
    next epoch on. Fewer than four validators: every operator must approve.
    """
    return _proposed(
        node, account, operator_key, now, lambda council: candidacy_from_json(entry_file.read_text(), council.chain_id)
    )


@command()
@click.argument("name")
@NOW
@operator_options
def remove(*, name: str, now: bool, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Propose to take the seat of the validator NAME (or its number) away.

    With --now a thief of its keys is out as soon as enough operators approved. It votes until the epoch
    ends, and has no part in the network afterwards; its keys are never accepted again.
    """
    return _proposed(
        node, account, operator_key, now, lambda council: RemoveValidator(seat_of(council.client.epoch(), name).number)
    )


@command(name="set")
@click.argument("assignments", metavar="KEY=VALUE...", nargs=-1, required=True)
@NOW
@operator_options
def set_(
    *, assignments: tuple[str, ...], now: bool, node: str | None, account: str | None, operator_key: Path | None
) -> Said:
    """Propose other parameters, such as delta_ms=200 or registration=approval.

    `guts network validators --json` lists all of them. They change with the first block of an epoch;
    those that are not named stay as they are.
    """
    return _proposed(node, account, operator_key, now, lambda _: _parameters(assignments))


def _parameters(assignments: tuple[str, ...]) -> SetParameters:
    found = []
    for text in assignments:
        match = _ASSIGNMENT.fullmatch(text)
        if match is None:
            raise Usage(f"{text[:60]!r} is not KEY=VALUE, such as delta_ms=200")
        found.append(parameter(match[1], match[2]))
    return SetParameters(tuple(sorted(found, key=lambda one: one.name)))


@command()
@click.argument("number", type=click.IntRange(0))
@click.option("--not-before", metavar="TIME", help="7d (from now) or YYYY-MM-DDThh:mmZ.  [default: the next epoch]")
@NOW
@operator_options
def rules(
    *,
    number: int,
    not_before: str | None,
    now: bool,
    node: str | None,
    account: str | None,
    operator_key: Path | None,
) -> Said:
    """Propose that rules NUMBER hold from an epoch on.

    Upgrade every node first: one whose build does not know the rules stops with a sentence when they
    begin, and goes on after its upgrade. Proposing the rules in force calls others off.
    """
    if not_before is not None:
        _milliseconds(not_before, 0)  # a slip of the pen is told before any node is asked

    def change(council: Council) -> ChangeRules:
        since = 0 if not_before is None else _milliseconds(not_before, council.network.time)
        return ChangeRules(number, since)

    return _proposed(node, account, operator_key, now, change)


def _milliseconds(text: str, now: int) -> int:
    """A time of the network; ``now`` is what its clock says."""
    if span := _SPAN.fullmatch(text):
        return now + int(span[1]) * _UNITS_MS[span[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Usage(f"{text[:40]!r} is no time such as 7d or YYYY-MM-DDThh:mmZ") from error
    return int(found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1000)


@command()
@operator_options
def end_epoch(*, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Propose to end the epoch with the block that approves it.

    What was approved before takes effect then: of changes of seats as many as one epoch may see.
    """
    return _proposed(node, account, operator_key, False, lambda _: EndEpoch())


@command()
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.option("--no", "against", is_flag=True, help="Vote against it.")
@operator_options
def vote(*, number: int, against: bool, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Approve decision ID, or with --no reject it. A vote is cast once, and for good.

    Look first: `guts network show ID` tells what would change and who proposed it.
    """
    with open_council(node, account, operator_key) as council:
        council.act(VoteDecision(number, approve=not against))
        decision = council.client.decision(number)
    return _said(decision)


@command()
@click.argument("number", metavar="[ID]", required=False, type=click.IntRange(1))
@NODE
def show(*, number: int | None, node: str | None) -> Said:
    """Show decision ID and who voted how; without ID those that wait for votes or for the epoch to end."""
    with open_network(node) as network:
        if number is not None:
            return _said(network.client.decision(number))
        found = [one for one in network.client.decisions() if one.state in {"open", "approved"}]
    words = "\n".join(map(sentence, found)) or "nothing waits for votes, nor for the epoch to end"
    following = next((next_of(one) for one in found if one.state == "open"), "guts network validators")
    return Said({"decisions": [as_json(one) for one in found]}, words, following)


def _proposed(
    node: str | None,
    account: str | None,
    operator_key: Path | None,
    now: bool,
    change: Callable[[Council], Change],
) -> Said:
    with open_council(node, account, operator_key) as council:
        council.act(ProposeDecision(change(council), now=now))
        return _said(newest(council.client.decisions(), council.key.name))


def _said(decision: Decision) -> Said:
    lines = [sentence(decision), f"  proposed by {decision.proposer}"]
    lines += [f"  {word}: {', '.join(names)}" for word, names in _votes(decision) if names]
    data: dict[str, Any] = as_json(decision)
    return Said(data, "\n".join(lines), next_of(decision))


def _votes(decision: Decision) -> tuple[tuple[str, tuple[str, ...]], ...]:
    voted = {*decision.approve, *decision.reject}
    missing = tuple(name for name in decision.operators if name not in voted) if decision.state == "open" else ()
    return ("approved", decision.approve), ("rejected", decision.reject), ("not voted yet", missing)
