"""``guts sim run | replay | shrink | show``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import click
from attrs import evolve

from guts_cli.outcomes import EXIT_OK, Said, Usage, show
from guts_cli.progress import working
from guts_cli.shape import command, wants_json
from guts_cli.simulation.bars import shrinking, soaking
from guts_cli.simulation.machines import Own, found, own_machine
from guts_cli.simulation.seeds import run_all, tasks
from guts_cli.simulation.words import campaign_data, campaign_text, failure_line, options_of, report_data, report_text
from guts_core.errors import Refused
from guts_core.sim.diagram import VIEWS, Shown, diagram
from guts_core.sim.pace import calmed, paced
from guts_core.sim.replay import Replay, machine_name, read_replay, replay_of
from guts_core.sim.scenario import Scenario
from guts_core.sim.shrink import Shrinker, Shrunk
from guts_core.sim.story import story_of
from guts_core.sim.swarm import scenario_of
from guts_core.sim.swarm import swarm as swarm_of
from guts_core.sim.village import run_clients
from guts_core.simplex.quorum import FaultModel

EXIT_BROKEN = 1
NODES_MAX = 128
# A run with everything that goes wrong says 4.4 n^2 things a block for ten seconds: at a hundred nodes, for an hour.
TROUBLED_NODES_MAX = 31
PACED_NODES_MIN = 31
FILE = click.Path(dir_okay=False, path_type=Path)
Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])


class AnotherStory(Refused):
    """A replay that does not give what its file says."""

    code = "another-story"


def network_options(function: Wrapped) -> Wrapped:
    """Which network a seed is run with."""
    for option in (
        click.option("--swarm", is_flag=True, help="The seed draws which misfortunes there are, and of every sort."),
        click.option("--whole", is_flag=True, help="Whole nodes with the forge's rules, not agreement alone."),
        click.option(
            "--fault-model",
            type=click.Choice([model.name.lower() for model in FaultModel]),
            default=FaultModel.BYZANTINE.name.lower(),
            show_default=True,
            help="What the quorum must survive.",
        ),
    ):
        function = option(function)
    return function


def own_options(function: Wrapped) -> Wrapped:
    """A state machine of one's own."""
    for option in (
        click.option(
            "--commands", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its commands, one a line."
        ),
        click.option("--machine", metavar="MODULE:NAME", help="A state machine of your own instead of words."),
    ):
        function = option(function)
    return function


CLIENTS = click.option(
    "--clients", is_flag=True, help="People of a small forge instead of words; what they were told is checked."
)


def only_one(**chosen: object) -> None:
    """Refuse two worlds at once."""
    named = [f"--{name}" for name, value in chosen.items() if value]
    if len(named) > 1:
        raise Usage(f"{' and '.join(named)} exclude each other")


NODES = click.option("--nodes", type=click.IntRange(1, NODES_MAX), default=4, show_default=True, help="Validators.")


@command()
@click.option("--seed", type=click.IntRange(min=0), help="One run: same number, same trace.")
@click.option("--seeds", type=click.IntRange(min=1), help="So many runs instead, from seed 0.")
@NODES
@network_options
@click.option("--calm", is_flag=True, help="Nothing goes wrong; shows how fast blocks come and are final.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes for --seeds.  [default: one a core]")
@CLIENTS
@own_options
def run(
    *,
    seed: int | None,
    seeds: int | None,
    nodes: int,
    fault_model: str,
    whole: bool,
    swarm: bool,
    calm: bool,
    clients: bool,
    jobs: int | None,
    machine: str | None,
    commands: Path | None,
) -> int:
    """Run a network in memory under a virtual clock, with crashes, partitions, loss and lying validators.

    Every invariant is checked after every event; exit code 1 when one broke. More than 31 nodes run calm.
    """
    if (seed is None) == (seeds is None):
        raise Usage("say which run: --seed N, or --seeds N for the first N", "guts sim run --seed 0")
    only_one(whole=whole, clients=clients, swarm=swarm, machine=machine)
    model, own = FaultModel[fault_model.upper()], own_machine(machine, commands)
    if seed is not None and clients:
        return _run_clients(seed, nodes, model)
    if seed is not None:
        scenario = _scenario(seed, nodes, model, whole, own, swarm=swarm)
        words = " --swarm" if swarm else _own_words(own)
        return _run_one(scenario, words, calm=calm or nodes > TROUBLED_NODES_MAX)
    if own is not None or calm:
        raise Usage("--seeds runs the built-in networks: --machine and --calm take --seed")
    return _run_many(
        seeds or 0, nodes, model, whole=whole, clients=clients, swarm=swarm, jobs=jobs or os.cpu_count() or 1
    )


def _scenario(seed: int, nodes: int, model: FaultModel, whole: bool, own: Own | None, *, swarm: bool) -> Scenario:
    if swarm:
        return swarm_of(seed, nodes)
    if own is None:
        return scenario_of(seed, nodes, model, whole=whole)
    return scenario_of(seed, nodes, model, machine=own.machine, commands=own.commands)


def _run_one(scenario: Scenario, words: str, *, calm: bool) -> int:
    began = perf_counter()
    with working(f"simulating {scenario.nodes} nodes"):
        report, pace = paced(calmed(scenario) if calm else scenario)
    seconds = perf_counter() - began
    following = f"guts sim run {options_of(evolve(scenario, seed=scenario.seed + 1), words)}{' --calm' if calm else ''}"
    if report.problem is not None and not calm:
        following = f"guts sim shrink {options_of(scenario, words)} -o seed-{scenario.seed}.replay"
    # Few nodes under trouble have idle times that are nobody's bound.
    told = pace if calm or scenario.nodes >= PACED_NODES_MIN else None
    show(Said(report_data(report, seconds, told), report_text(report, seconds, told), following), wants_json())
    return EXIT_OK if report.problem is None else EXIT_BROKEN


def _run_clients(seed: int, nodes: int, model: FaultModel) -> int:
    began = perf_counter()
    report = run_clients(seed, nodes, model)
    seconds = perf_counter() - began
    show(Said(report_data(report, seconds), report_text(report, seconds)), wants_json())
    return EXIT_OK if report.problem is None else EXIT_BROKEN


def _own_words(own: Own | None) -> str:
    return "" if own is None else f" --machine {shlex.quote(own.name)} --commands {shlex.quote(str(own.file))}"


def _run_many(seeds: int, nodes: int, model: FaultModel, *, whole: bool, clients: bool, swarm: bool, jobs: int) -> int:
    began = perf_counter()
    with soaking(seeds=seeds) as told:
        campaign = run_all(tasks(range(seeds), nodes, model, whole=whole, clients=clients, swarm=swarm), jobs, told)
    seconds = perf_counter() - began
    following = None
    if campaign.failures:
        following = failure_line(campaign.failures[0], model, whole=whole, clients=clients, swarm=swarm)
    said = Said(campaign_data(campaign, seconds, jobs), campaign_text(campaign, seconds, jobs), following)
    show(said, wants_json())
    return EXIT_BROKEN if campaign.failures else EXIT_OK


# ---- files ----


def _read(file: Path) -> Replay:
    lines = file.read_text(encoding="utf-8").splitlines()
    name = machine_name(lines[0]) if lines else None
    return read_replay(lines, {} if name is None else {name: found(name)})


@command()
@click.argument("file", type=FILE)
def replay(file: Path) -> int:
    """Run FILE again, without dice: what it says happens, in the same order.

    Exit code 1 when it breaks a promise, as most files of this sort do, and when it gives another trace than
    it says: then the code is not the one that wrote it.
    """
    wanted = _read(file)
    began = perf_counter()
    report = wanted.scenario.play()
    seconds = perf_counter() - began
    if report.trace != wanted.ending.trace:
        raise AnotherStory(
            f"{file} gives another run than it says: trace {report.trace}, not {wanted.ending.trace}; "
            f"{report.problem or 'no promise breaks'}. The code is another than that of build {wanted.build}"
        )
    said = Said(report_data(report, seconds), report_text(report, seconds), f"guts sim show {shlex.quote(str(file))}")
    show(said, wants_json())
    return EXIT_OK if report.problem is None else EXIT_BROKEN


@command()
@click.option("--seed", type=click.IntRange(min=0), help="The seed that breaks a promise.")
@click.option("--from", "source", type=FILE, help="A replay file that breaks one, instead of a seed.")
@NODES
@network_options
@click.option("-o", "--output", type=FILE, required=True, help="The replay file to write.")
@click.option("--runs", type=click.IntRange(min=2), help="Try no more than so many smaller runs.")
@own_options
def shrink(
    *,
    seed: int | None,
    source: Path | None,
    nodes: int,
    fault_model: str,
    whole: bool,
    swarm: bool,
    output: Path,
    runs: int | None,
    machine: str | None,
    commands: Path | None,
) -> Said:
    """Find the smallest run that breaks the same promise, and write it to a file that runs without dice.

    Shortens the run, takes away faults, lost and late messages, nodes and wishes as long as the same invariant
    breaks. Beside the file its diagram is written, as OUTPUT.txt.
    """
    if (seed is None) == (source is None):
        raise Usage("say what to shrink: --seed N or --from FILE")
    only_one(whole=whole, swarm=swarm, machine=machine)
    own = own_machine(machine, commands)
    if source is not None:
        read = _read(source)
        scenario, name = read.scenario, read.machine
    else:
        scenario = _scenario(seed or 0, nodes, FaultModel[fault_model.upper()], whole, own, swarm=swarm)
        name = own.name if own is not None else None
    with shrinking() as told:
        shrunk = Shrinker(scenario, told, runs).run()
    lines = replay_of(shrunk.scenario, shrunk.report, name).lines()
    output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    drawn = output.with_name(f"{output.name}.txt")
    drawn.write_text(diagram(story_of(shrunk.scenario)), encoding="utf-8")
    return _shrunk_said(shrunk, output, drawn)


def _shrunk_said(shrunk: Shrunk, output: Path, drawn: Path) -> Said:
    run, report = shrunk.scenario, shrunk.report
    data = {
        "file": str(output),
        "diagram": str(drawn),
        "problem": report.problem,
        "nodes": run.nodes,
        "events": report.events,
        "simulated_seconds": report.simulated_us / 1e6,
        "faults_before": shrunk.before,
        "faults_after": shrunk.after,
        "runs": shrunk.runs,
    }
    text = (
        f"{report.problem}\n"
        f"  still with {run.nodes} nodes, {shrunk.after} of {shrunk.before} faults and odd deliveries, "
        f"{report.events} events in {report.simulated_us / 1e6:.2f} s; {shrunk.runs} runs were tried\n"
        f"  {output} replays it, {drawn} shows it"
    )
    return Said(data, text, f"guts sim show {shlex.quote(str(output))}")


@command(name="show")
@click.argument("file", type=FILE)
@click.option("--views", type=click.IntRange(min=1), default=VIEWS, show_default=True, help="The last so many views.")
@click.option("--all", "everything", is_flag=True, help="The whole run.")
def show_(file: Path, *, views: int, everything: bool) -> Said:
    """Draw FILE: a column for each node, time downwards, a line for each message.

    Shown are the last views, the view that a promise broke in, and all crashes.
    """
    wanted = _read(file)
    text = diagram(story_of(wanted.scenario), Shown(None if everything else views))
    return Said({"problem": wanted.ending.problem, "diagram": text.splitlines()}, text.rstrip("\n"))
