"""``guts sim``."""

from __future__ import annotations

from time import perf_counter

import click

from guts_cli.outcomes import Said
from guts_cli.shape import command
from guts_core.errors import Refused
from guts_core.sim.run import Report, run_seed, simulate_forge
from guts_core.simplex.quorum import FaultModel

MICROSECONDS = 1e6


class Broken(Refused):
    """A seed in which a promise did not hold."""

    code = "broken"


@command()
@click.option("--seed", type=click.IntRange(min=0), required=True, help="The run: same number, same trace.")
@click.option("--nodes", type=click.IntRange(1, 31), default=4, show_default=True, help="How many validators.")
@click.option(
    "--fault-model",
    type=click.Choice([model.name.lower() for model in FaultModel]),
    default=FaultModel.BYZANTINE.name.lower(),
    show_default=True,
    help="What the quorum must survive.",
)
@click.option("--whole", is_flag=True, help="Whole nodes with the forge's rules, not agreement alone.")
def sim(seed: int, nodes: int, fault_model: str, whole: bool) -> Said:
    """Run a network in memory under a virtual clock, with crashes, partitions, loss and lying validators.

    Every invariant is checked after every event; exit code 1 when one broke.
    """
    model = FaultModel[fault_model.upper()]
    began = perf_counter()
    report = simulate_forge(seed, nodes, model) if whole else run_seed(seed, nodes, model)
    seconds = perf_counter() - began
    if report.problem is not None:
        raise Broken(f"seed {seed} with {nodes} nodes: {report.problem}")
    return Said(_data(report, seconds), _text(report, seconds), _next(seed, nodes, model, whole=whole))


def _next(seed: int, nodes: int, model: FaultModel, *, whole: bool) -> str:
    chosen = "" if model is FaultModel.BYZANTINE else f" --fault-model {model.name.lower()}"
    return f"guts sim --seed {seed + 1} --nodes {nodes}{chosen}{' --whole' if whole else ''}"


def _data(report: Report, seconds: float) -> dict[str, object]:
    return {
        "seed": report.seed,
        "nodes": report.nodes,
        "events": report.events,
        "heights": list(report.heights),
        "events_per_second": round(report.events / seconds),
        "faults": dict(report.faults),
        "work": dict(report.work),
        "villains": [{"node": v.node, "name": v.name, "achieved": v.achieved} for v in report.villains],
        "trace": report.trace,
        "simulated_seconds": report.simulated_us / MICROSECONDS,
        "seconds": round(seconds, 3),
    }


def _text(report: Report, seconds: float) -> str:
    simulated = report.simulated_us / MICROSECONDS
    faults = ", ".join(f"{name} {count}" for name, count in report.faults.items())
    villains = ", ".join(f"node {v.node} {v.name} (achieved {v.achieved})" for v in report.villains) or "none"
    work = ", ".join(
        f"{name} {count}" for name, count in report.work.items() if name.startswith(("final", "ref ", "refused"))
    )
    achieved = f"\n  people    {work}" if work else ""
    return f"""\
seed {report.seed}: every promise held
  blocks    {min(report.heights)} to {max(report.heights)} final on honest nodes
  events    {report.events} in {seconds:.2f} s ({report.events / seconds:,.0f}/s), {simulated:.1f} s of virtual time
  faults    {faults}
  liars     {villains}{achieved}
  trace     {report.trace}"""
