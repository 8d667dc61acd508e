"""``guts sim soak``."""

from __future__ import annotations

import os
from time import monotonic, perf_counter

import click

from guts_cli.commands.sim import CLIENTS, EXIT_BROKEN, NODES_MAX, network_options, only_one
from guts_cli.outcomes import EXIT_OK, Said, show
from guts_cli.shape import command, wants_json
from guts_cli.simulation.bars import soaking
from guts_cli.simulation.seeds import from_seed, run_all, tasks
from guts_cli.simulation.words import campaign_data, campaign_text, failure_line
from guts_core.simplex.quorum import FaultModel

SECONDS_A_MINUTE = 60


@command()
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), required=True, help="For how long.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--nodes", type=click.IntRange(1, NODES_MAX), help="Validators.  [default: mixed, 1 to 10]")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@network_options
@CLIENTS
def soak(
    *,
    minutes: float,
    jobs: int | None,
    nodes: int | None,
    first: int,
    fault_model: str,
    whole: bool,
    swarm: bool,
    clients: bool,
) -> int:
    """Run one seed after another for a while, and say what was reached.

    Exit code 1 when a promise broke; the line that replays it stands at the end. Ctrl-C ends it early, with
    what was found so far.
    """
    only_one(whole=whole, clients=clients, swarm=swarm)
    model, workers = FaultModel[fault_model.upper()], jobs or os.cpu_count() or 1
    seconds = minutes * SECONDS_A_MINUTE
    began = perf_counter()
    with soaking(seconds=seconds) as told:
        work = tasks(from_seed(first), nodes, model, whole=whole, clients=clients, swarm=swarm)
        campaign = run_all(work, workers, told, monotonic() + seconds)
    passed = perf_counter() - began
    failed = campaign.failures
    following = failure_line(failed[0], model, whole=whole, clients=clients, swarm=swarm) if failed else None
    said = Said(campaign_data(campaign, passed, workers), campaign_text(campaign, passed, workers), following)
    show(said, wants_json())
    return EXIT_BROKEN if failed else EXIT_OK
