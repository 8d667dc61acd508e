"""
Replay files: a run written down, to be run again without dice (JSON lines).

The first line says what plays, the next ones what is planned to go wrong, then come the answers of chance,
question by question in their order, and last what came of it. null is the plain answer (a message arrives
after the shortest delay, a disk is as quick as it can be), but for ``bulk``, where it says that a pack is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from attrs import frozen

from guts_core.errors import Malformed, Refused
from guts_core.simplex.quorum import FaultModel
from guts_core.version import VERSION

from .fates import Tape
from .faults import Plan
from .machine import StateMachine
from .plan_lines import lines_of, plan_of
from .report import Report
from .scenario import Scenario

FORMAT = 2
_NAME = "guts simulation"


class OtherFormat(Refused):
    """A replay file of another build's format."""

    code = "other-format"


@frozen
class Ending:
    """What came of a run, to compare a replay with."""

    trace: str
    events: int
    problem: str | None


@frozen
class Replay:
    """What a replay file says."""

    scenario: Scenario
    ending: Ending
    build: str
    machine: str | None  # where the state machine is found, as module:name

    def lines(self) -> Iterator[str]:
        """The file, line by line, without line ends."""
        for line in self._lines():
            yield json.dumps(line, separators=(",", ":"))

    def _lines(self) -> Iterator[dict[str, Any]]:
        run = self.scenario
        yield {
            "file": _NAME,
            "format": FORMAT,
            "build": self.build,
            "seed": run.seed,
            "nodes": run.nodes,
            "fault_model": run.fault_model.name.lower(),
            "whole": run.whole,
            "epoch_ms": run.epoch_ms,
            "villains": {str(index): name for index, name in run.villains.items()},
            "machine": self.machine,
            "commands": [command.hex() for command in run.commands],
        }
        yield from lines_of(run.plan)
        for question, answers in sorted((run.tape or {}).items()):
            yield {"ask": question, "answers": _packed(answers)}
        yield {"end": {"trace": self.ending.trace, "events": self.ending.events, "problem": self.ending.problem}}


def replay_of(scenario: Scenario, report: Report, machine: str | None = None) -> Replay:
    """A recorded run and what came of it."""
    return Replay(scenario, Ending(report.trace, report.events, report.problem), VERSION, machine)


def read_replay(lines: Iterable[str], machines: dict[str, StateMachine[Any]] | None = None) -> Replay:
    """
    The replay of a file's lines; raises OtherFormat or Malformed, naming the line.

    ``machines`` holds the state machine by the name that the first line gives, if it gives one.
    """
    told = list(_told(lines))
    if not told:
        raise Malformed("the file is empty")
    head, *rest = told
    _check_head(head)
    try:
        plan = plan_of(line for line in rest if "rates" in line or "fault" in line)
        tape: Tape = {line["ask"]: _unpacked(line["answers"]) for line in rest if "ask" in line}
        end = next(line["end"] for line in rest if "end" in line)
        ending = Ending(end["trace"], end["events"], end["problem"])
        scenario = _scenario(head, plan, tape, machines or {})
    except StopIteration:
        raise Malformed("the file breaks off: its last line is missing") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"this is no run: {error!r}") from error
    return Replay(scenario, ending, head["build"], head["machine"])


def machine_name(first_line: str) -> str | None:
    """The name of the state machine that a file's first line asks for."""
    head = next(_told([first_line]), {})
    _check_head(head)
    name = head.get("machine")
    return name if isinstance(name, str) else None


def _told(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
        except ValueError as error:
            raise Malformed(f"line {number} is no JSON: {error}") from error
        if not isinstance(told, dict):
            raise Malformed(f"line {number} is no object")
        yield told


def _check_head(head: dict[str, Any]) -> None:
    if head.get("file") != _NAME:
        raise Malformed("this is no replay file: its first line does not say so")
    if head.get("format") != FORMAT:
        raise OtherFormat(
            f"the file has format {head.get('format')} of build {head.get('build')}; this build, {VERSION}, reads "
            f"format {FORMAT}: replay it with the build that wrote it"
        )


def _scenario(head: dict[str, Any], plan: Plan, tape: Tape, machines: dict[str, StateMachine[Any]]) -> Scenario:
    return Scenario(
        seed=head["seed"],
        nodes=head["nodes"],
        plan=plan,
        fault_model=FaultModel[head["fault_model"].upper()],
        whole=head["whole"],
        villains={int(index): name for index, name in head["villains"].items()},
        machine=None if head["machine"] is None else machines[head["machine"]],
        commands=tuple(bytes.fromhex(command) for command in head["commands"]),
        tape=tape,
        epoch_ms=head["epoch_ms"],
    )


# So many nulls in a row are written as {"null": 212}.
def _packed(answers: list[object]) -> list[object]:
    packed: list[object] = []
    for is_null, group in groupby(answers, lambda answer: answer is None):
        same = list(group)
        packed += [{"null": len(same)}] if is_null else same
    return packed


def _unpacked(packed: list[Any]) -> list[object]:
    answers: list[object] = []
    for answer in packed:
        answers += [None] * answer["null"] if isinstance(answer, dict) else [answer]
    return answers
