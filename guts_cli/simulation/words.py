"""Reports, campaigns and replays in words, as JSON, and as the commands that lead on."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from guts_core.sim.campaign import Campaign, Failure
from guts_core.sim.pace import FINALITY_BOUND, INTERVAL_BOUND, Pace
from guts_core.sim.report import Report
from guts_core.sim.scenario import Scenario
from guts_core.sim.scripted_twins import Outcome, Played, splits
from guts_core.simplex.quorum import FaultModel

MICROSECONDS = 1e6
COLUMNS, INDENT = 112, 12
# Of what was not reached; the whole list stands in the JSON.
_NEVER_SHOWN = 12


def options_of(scenario: Scenario, own: str = "") -> str:
    """The options that make this scenario of its seed again."""
    model = scenario.fault_model.name.lower()
    chosen = f" --fault-model {model}" if model != "byzantine" else ""
    return f"--seed {scenario.seed} --nodes {scenario.nodes}{chosen}{' --whole' if scenario.whole else ''}{own}"


def failure_line(
    failure: Failure, model: FaultModel, *, whole: bool, clients: bool = False, swarm: bool = False
) -> str:
    """The command that replays the seed of a campaign."""
    chosen = f" --fault-model {model.name.lower()}" if model is not FaultModel.BYZANTINE else ""
    world = " --whole" if whole else " --clients" if clients else " --swarm" if swarm else ""
    return f"guts sim run --seed {failure.seed} --nodes {failure.nodes}{chosen}{world}"


def report_data(report: Report, seconds: float, pace: Pace | None = None) -> dict[str, object]:
    """For programs."""
    return {
        "seed": report.seed,
        "nodes": report.nodes,
        "problem": report.problem,
        "events": report.events,
        "heights": list(report.heights),
        "events_per_second": round(report.events / seconds),
        "faults": dict(report.faults),
        "work": dict(report.work),
        "villains": [
            {"node": v.node, "name": v.name, "attempts": v.attempts, "achieved": v.achieved} for v in report.villains
        ],
        "pace": None if pace is None else _pace_data(pace),
        "trace": report.trace,
        "simulated_seconds": report.simulated_us / MICROSECONDS,
        "seconds": round(seconds, 3),
    }


def _pace_data(pace: Pace) -> dict[str, object]:
    return {
        "blocks": pace.blocks,
        "delay_us": pace.delay_us,
        "interval_us": pace.interval_us,
        "interval_delays": _delays(pace.interval_us, pace),
        "finality_us": pace.finality_us,
        "finality_delays": _delays(pace.finality_us, pace),
    }


def report_text(report: Report, seconds: float, pace: Pace | None = None) -> str:
    """For people."""
    simulated = report.simulated_us / MICROSECONDS
    villains = ", ".join(f"node {v.node} {v.name} (achieved {v.achieved})" for v in report.villains) or "none"
    work = ", ".join(
        f"{name} {count}" for name, count in report.work.items() if name.startswith(("final", "ref ", "refused"))
    )
    lines = [
        f"seed {report.seed}: {'every promise held' if report.problem is None else report.problem}",
        f"  blocks    {min(report.heights, default=0)} to {max(report.heights, default=0)} final on honest nodes",
        f"  events    {report.events} in {seconds:.2f} s ({report.events / seconds:,.0f}/s)",
        f"  time      {simulated:.1f} s simulated, {simulated / seconds:.0f} times real time",
        f"  faults    {_counts(report.faults)}",
        f"  liars     {villains}",
        *([f"  people    {work}"] if work else []),
        *([f"  pace      {pace_text(pace)}"] if pace is not None else []),
        f"  trace     {report.trace}",
    ]
    return "\n".join(wrapped(line) for line in lines)


def wrapped(line: str) -> str:
    """A long line as several, the later ones under the first one's words."""
    return textwrap.fill(line, COLUMNS, subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False)


def pace_text(pace: Pace) -> str:
    """Block interval and finality beside their bounds."""
    if pace.interval_us is None or pace.finality_us is None:
        return "too few blocks after the network healed"
    return (
        f"a block every {pace.interval_us / 1000:.1f} ms = {_delays(pace.interval_us, pace)} delays (bound "
        f"{INTERVAL_BOUND}), final after {pace.finality_us / 1000:.1f} ms = {_delays(pace.finality_us, pace)} (bound "
        f"{FINALITY_BOUND}); a delay is {pace.delay_us / 1000:.1f} ms on average"
    )


def _delays(time: int | None, pace: Pace) -> float | None:
    return None if time is None else round(time / pace.delay_us, 2)


def campaign_data(campaign: Campaign, seconds: float, jobs: int) -> dict[str, object]:
    """For programs."""
    coverage = campaign.coverage
    return {
        "seeds": campaign.seeds,
        "sizes": {str(nodes): count for nodes, count in sorted(campaign.sizes.items())},
        "events": campaign.events,
        "blocks": campaign.blocks,
        "events_per_second": round(campaign.events / seconds),
        "events_per_second_and_job": round(campaign.events / seconds / jobs),
        "simulated_seconds": round(campaign.simulated_us / MICROSECONDS, 1),
        "times_real_time": round(campaign.simulated_us / MICROSECONDS / seconds, 1),
        "seconds": round(seconds, 2),
        "jobs": jobs,
        "faults": dict(sorted(campaign.faults.items())),
        "rules": dict(sorted(campaign.rules.items())),
        "work": dict(sorted(campaign.work.items())),
        "villains": {
            name: {"runs": p.runs, "attempts": p.attempts, "achieved": p.achieved, "successful_runs": p.successes}
            for name, p in sorted(campaign.villains.items())
        },
        "coverage": {" / ".join(met): count for met, count in sorted(coverage.met.items())},
        "crashes": {f"{role} of {nodes}": count for (nodes, role), count in sorted(coverage.crashed.items())},
        "never": campaign.never(),
        "failures": [{"seed": f.seed, "nodes": f.nodes, "problem": f.problem} for f in campaign.failures],
    }


def campaign_text(campaign: Campaign, seconds: float, jobs: int) -> str:
    """For people."""
    simulated, never = campaign.simulated_us / MICROSECONDS, campaign.never()
    broken, rate = len(campaign.failures), campaign.events / seconds
    lines = [
        f"{campaign.seeds} seeds: {f'{broken} broke a promise' if broken else 'every promise held in all of them'}",
        f"  nodes     {', '.join(f'{n} in {count} seeds' for n, count in sorted(campaign.sizes.items()))}",
        f"  events    {campaign.events:,} in {seconds:.1f} s: {rate:,.0f}/s, {rate / jobs:,.0f}/s a job of {jobs}",
        f"  time      {simulated:,.0f} s simulated, {simulated / seconds:.0f} times real time",
        f"  blocks    {campaign.blocks:,}",
        f"  faults    {_counts(campaign.faults)}",
        f"  rules     {_counts({name.lower(): count for name, count in campaign.rules.items()})}",
        *_villain_lines(campaign),
        f"  met       {len(campaign.coverage.met)} meetings of rule, message and fault",
        f"  never     {', '.join(never[:_NEVER_SHOWN]) or 'nothing: all that happens sometimes did'}"
        + (f", and {len(never) - _NEVER_SHOWN} more (--json lists them)" if len(never) > _NEVER_SHOWN else ""),
        *(f"  BROKEN    seed {f.seed} with {f.nodes} nodes: {f.problem}" for f in campaign.failures),
    ]
    return "\n".join(wrapped(line) for line in lines)


def scripts_data(played: Played, seconds: float, jobs: int) -> dict[str, object]:
    """For programs: many scripts of twins."""
    return {
        "cases": played.cases,
        "events": played.events,
        "blocks": played.blocks,
        "simulated_seconds": round(played.simulated_us / MICROSECONDS, 1),
        "seconds": round(seconds, 2),
        "jobs": jobs,
        "splits": len(played.splits),
        "splits_there_are": len(splits()),
        "torn": played.torn,
        "convicted": played.convicted,
        "failures": [{"case": one.case.number, "problem": one.problem} for one in played.failures],
    }


def scripts_text(played: Played, seconds: float, jobs: int) -> str:
    """For people."""
    broken, rate = len(played.failures), played.cases / seconds
    lines = [
        f"{played.cases} scripts: {f'{broken} broke a promise' if broken else 'no two honest nodes parted in any'}",
        f"  events    {played.events:,} in {seconds:.1f} s: {rate:,.0f} scripts/s with jobs {jobs}",
        f"  blocks    {played.blocks:,} final in {played.simulated_us / MICROSECONDS:,.0f} s simulated",
        f"  splits    {len(played.splits)} of the {len(splits())} ways to split five processes into three groups",
        f"  twins     reached different nodes in {played.torn} scripts, were convicted in {played.convicted}",
        *(f"  BROKEN    script {one.case.number}: {one.problem}" for one in played.failures),
    ]
    return "\n".join(wrapped(line) for line in lines)


def script_data(outcome: Outcome) -> dict[str, object]:
    """For programs: one script of twins, and what became of it."""
    case = outcome.case
    return {
        "case": case.number,
        "twin": case.twin,
        "views": [
            {"leader": leader, "groups": _groups(case.twin, sides)}
            for leader, sides in zip(case.leaders, case.sides, strict=True)
        ],
        "problem": outcome.problem,
        "events": outcome.events,
        "heights": list(outcome.heights),
        "torn": outcome.torn,
        "convictions": outcome.convictions,
        "simulated_seconds": outcome.simulated_us / MICROSECONDS,
        "trace": outcome.trace,
    }


def script_text(outcome: Outcome) -> str:
    """For people."""
    case = outcome.case
    views = [
        f"  view {view:<4} node {leader} leads; hear each other: {' | '.join(map(' '.join, _groups(case.twin, sides)))}"
        for view, (leader, sides) in enumerate(zip(case.leaders, case.sides, strict=True), 1)
    ]
    lines = [
        f"script {case.number}: {'every promise held' if outcome.problem is None else outcome.problem}",
        f"  twins     node {case.twin} runs twice, as {case.twin} and {case.twin}'",
        *views,
        f"  then      everybody hears everybody; blocks {min(outcome.heights)} to {max(outcome.heights)} are final",
        f"  torn      {outcome.torn} messages of one twin reached others than the other's",
        f"  convicted {outcome.convictions} times, by honest nodes",
        f"  events    {outcome.events} in {outcome.simulated_us / MICROSECONDS:.2f} s simulated",
        f"  trace     {outcome.trace}",
    ]
    return "\n".join(wrapped(line) for line in lines)


def _groups(twin: int, sides: tuple[int, ...]) -> list[list[str]]:
    """Who hears whom: the second process of the twinned node has its number with a stroke."""
    names = [*map(str, range(len(sides) - 1)), f"{twin}'"]
    return [[name for name, side in zip(names, sides, strict=True) if side == one] for one in sorted(set(sides))]


def _villain_lines(campaign: Campaign) -> list[str]:
    rows = [
        f"{name:18} {p.attempts:9,} attempts, {p.achieved:9,} achieved, in {p.successes} of {p.runs} seeds"
        for name, p in sorted(campaign.villains.items())
    ]
    return [f"  {'liars' if number == 0 else '':9} {row}" for number, row in enumerate(rows)]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count) or "none"
