"""The table: each mistake, the campaign whose seeds must notice it, and by which promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from attrs import field, frozen

from guts_core.sim.forge_cast import KINDS as FORGE_KINDS
from guts_core.sim.villains.cast import KINDS
from guts_core.sim.villains.relabeler import Relabeler
from guts_core.sim.villains.silent import Silent

from . import agreement as a
from . import forge as f
from .campaigns import (
    CAMPAIGNS,
    Campaign,
    agreement,
    floods,
    joining,
    old_databases,
    replays,
    short_epochs,
    timing,
    twins,
    whole_nodes,
)

SAFETY = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8")
LIVENESS = ("L1", "L2")
# So many seeds of a campaign may be needed at most: all of them are among those of the test run.
SEEDS = {
    agreement: 112,
    whole_nodes: 100,
    short_epochs: len(FORGE_KINDS),
    twins: 500,
    old_databases: 40,
    replays: 40,
    joining: 3,
    floods: 3,
    timing: 2,
}


@frozen
class Hunt:
    """Seeds of one campaign, until one notices."""

    campaign: Campaign
    promises: tuple[str, ...]  # one of these must be what the problem names
    seeds: Iterable[int] = field()

    @seeds.default
    def _all(self) -> Iterable[int]:
        return range(SEEDS[self.campaign])

    def run(self) -> Caught | None:
        """The first seed that notices."""
        for needed, seed in enumerate(self.seeds, 1):
            problem = self.campaign(seed)
            if problem is not None and problem.startswith(self.promises):
                return Caught(problem, seed, needed)
        return None


@frozen
class Caught:
    """How a mistake was noticed."""

    problem: str
    seed: int
    needed: int


@frozen
class Mutant:
    """One planted mistake."""

    plant: Callable[[pytest.MonkeyPatch], None]
    hunts: tuple[Hunt, ...]

    @property
    def name(self) -> str:
        """In words."""
        return self.plant.__name__.replace("_", " ")

    @property
    def promises(self) -> tuple[str, ...]:
        """By campaign, what may be broken."""
        return tuple(f"{CAMPAIGNS[hunt.campaign]}: {', '.join(hunt.promises)}" for hunt in self.hunts)


def _mutant(plant: Callable[[pytest.MonkeyPatch], None], *hunts: Hunt) -> Mutant:
    return Mutant(plant, hunts)


_RELABELED = range(KINDS.index(Relabeler), SEEDS[agreement], len(KINDS))
_SILENT = range(FORGE_KINDS.index(Silent), SEEDS[whole_nodes], len(FORGE_KINDS))

MUTANTS = (
    # Agreement: counting.
    _mutant(a.a_quorum_of_two_of_four, Hunt(agreement, SAFETY), Hunt(whole_nodes, SAFETY), Hunt(twins, SAFETY)),
    _mutant(a.messages_counted_for_signers, Hunt(agreement, ("node", *SAFETY))),
    _mutant(a.a_signer_counted_for_each_signature, Hunt(agreement, (*SAFETY, *LIVENESS))),
    _mutant(a.certificates_taken_unchecked, Hunt(agreement, SAFETY)),
    _mutant(a.votes_counted_unchecked, Hunt(agreement, ("node", *SAFETY))),
    # What is signed.
    _mutant(a.a_signature_without_kind, Hunt(agreement, SAFETY)),
    _mutant(a.a_vote_without_epoch, Hunt(agreement, SAFETY)),
    _mutant(a.a_signature_without_chain, Hunt(agreement, SAFETY)),
    _mutant(a.a_hash_without_parent_and_view, Hunt(agreement, ("node", *SAFETY), _RELABELED)),
    # Own votes.
    _mutant(a.votes_that_are_not_persisted, Hunt(agreement, ("I1", "I2")), Hunt(whole_nodes, ("I1", "I2"))),
    _mutant(a.votes_sent_before_they_are_synced, Hunt(agreement, ("I1", "I2"))),
    _mutant(a.finalizing_after_a_nullify, Hunt(agreement, ("I2",)), Hunt(whole_nodes, ("I2",)), Hunt(twins, ("I2",))),
    _mutant(a.a_second_notarize_in_one_view, Hunt(agreement, ("I1",))),
    _mutant(a.a_floor_that_moves_back, Hunt(old_databases, (*SAFETY, *LIVENESS))),
    # Parents.
    _mutant(a.leaders_and_followers_that_ignore_skipped_views, Hunt(agreement, ("I4", "I7")), Hunt(twins, ("I4",))),
    _mutant(a.followers_that_ignore_skipped_views, Hunt(agreement, ("I4", "I7"))),
    _mutant(a.a_parent_accepted_because_it_is_recent, Hunt(agreement, ("I4", "I7"))),
    # Helping.
    _mutant(a.no_retry_and_no_help, Hunt(agreement, LIVENESS)),
    _mutant(a.catching_up_only_when_a_view_times_out, Hunt(agreement, LIVENESS)),
    _mutant(a.a_bar_that_goes_on_into_the_next_epoch, Hunt(short_epochs, LIVENESS)),
    # Execution and memory.
    _mutant(a.execution_that_is_not_deterministic, Hunt(agreement, ("I8", "node", *LIVENESS))),
    _mutant(a.commands_executed_twice, Hunt(agreement, ("I9",))),
    _mutant(a.buffers_without_bounds, Hunt(agreement, ("I11",))),
    # Limits and time.
    _mutant(a.budgets_below_what_honest_peers_need, Hunt(agreement, LIVENESS)),
    _mutant(a.patience_that_never_grows, Hunt(timing, LIVENESS)),
    _mutant(a.somebody_never_heard_who_is_waited_for, Hunt(timing, LIVENESS)),
    # The path of a push.
    _mutant(f.a_pack_attested_before_it_is_synced, Hunt(whole_nodes, ("I10",))),
    _mutant(f.promises_forgotten_by_a_restart, Hunt(whole_nodes, ("I10",))),
    _mutant(f.promises_that_end_by_the_wall_clock, Hunt(whole_nodes, ("I10",))),
    _mutant(f.a_witness_one_signature_short, Hunt(whole_nodes, ("I10",))),
    _mutant(f.a_check_that_failed_once_and_for_all, Hunt(whole_nodes, ("L2",), _SILENT)),
    _mutant(f.records_overwritten_by_an_earlier_blocks, Hunt(whole_nodes, ("I8", "node"))),
    _mutant(f.refs_that_move_whatever_they_were, Hunt(whole_nodes, ("I10",))),
    _mutant(f.transactions_that_stand_in_the_chain_twice, Hunt(whole_nodes, ("I9",))),
    _mutant(f.a_replay_window_off_by_one, Hunt(replays, ("I9",))),
    _mutant(f.execution_that_reads_a_text, Hunt(whole_nodes, ("I8", "node"))),
    _mutant(f.a_log_that_is_not_rewritten_after_an_erasure, Hunt(whole_nodes, ("I13",))),
    _mutant(f.blocks_that_are_stored_with_their_texts, Hunt(whole_nodes, ("I13",))),
    _mutant(f.a_snapshot_whose_root_is_not_compared, Hunt(joining, ("J13",))),
    # What is proposed.
    _mutant(f.a_turn_that_does_not_end, Hunt(floods, ("K05",))),
)


def hunted(mutant: Mutant) -> list[Caught | None]:
    """What each of its campaigns says with the mistake planted; None where it survives."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        return [hunt.run() for hunt in mutant.hunts]
