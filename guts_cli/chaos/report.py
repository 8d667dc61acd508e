"""What a run came to, for people, for programs, and as a line of a ledger."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from attrs import frozen

from guts_core.version import VERSION

from .harm import Harmer
from .judge import Verdict
from .plan import LINK_WEIGHTS, Harm
from .record import ACKNOWLEDGED, Record, shares
from .watch import Watch

SHOWN_DIFFERENCES = 20


@frozen
class Report:
    """One finished run."""

    nodes: int
    seconds: float
    seed: int
    directory: str
    record: Record
    harmer: Harmer
    watch: Watch
    verdict: Verdict
    roads: Counter[str]

    @property
    def is_well(self) -> bool:
        """Nothing was lost, every node tells the same, none ended by itself, and the chain always came back."""
        return not (self.verdict.lost or self.problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that was not well, but what was lost."""
        died = [f"node {index} ended by itself: {self._log(index)}" for index in self.harmer.nodes.died]
        stuck = (
            [f"{self.watch.stuck} times the chain did not go on in time after a restart"] if self.watch.stuck else []
        )
        # A run whose nodes found a way around the proxies shows nothing about links.
        bypassed = [] if self.roads["connections"] else ["no connection went through a proxy"]
        return (*self.verdict.differences, *died, *stuck, *bypassed)

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"guts chaos --nodes {self.nodes} --minutes {self.seconds / 60:g} --seed {self.seed}"

    def _log(self, index: int) -> str:
        nodes = self.harmer.nodes
        return str(nodes.network.node(nodes.seat(index)).log)

    def data(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        recoveries = self.watch.recoveries
        return {
            "ok": self.is_well,
            "nodes": self.nodes,
            "minutes": round(self.seconds / 60, 3),
            "seed": self.seed,
            "version": VERSION,
            "height": self.verdict.height,
            "kills": self.harmer.kills,
            "faults": {harm.value: self.harmer.done[harm.value] for harm in Harm},
            "pushes": dict(self.record.pushes),
            "writes": dict(self.record.writes),
            "reads": dict(self.record.reads),
            "lost": len(self.verdict.lost),
            "problems": list(self.problems[:SHOWN_DIFFERENCES]),
            "longest_without_finality_seconds": round(self.watch.longest_seconds, 1),
            "recoveries": len(recoveries),
            "recovery_median_seconds": round(median(recoveries), 1) if recoveries else None,
            "recovery_longest_seconds": round(max(recoveries), 1) if recoveries else None,
            "converged_seconds": round(self.verdict.converged_seconds, 1),
            "connections": self.roads["connections"],
            "bytes": self.roads["bytes"],
            "repeat": self.command,
        }

    def text(self) -> str:
        """For people."""
        data, done = self.data(), self.harmer.done
        longest = f"{data['longest_without_finality_seconds']} s"
        links = ", ".join(f"{harm.value} {done[harm.value]}" for harm in LINK_WEIGHTS if done[harm.value]) or "none"
        processes = ", ".join(f"{h.value} {done[h.value]}" for h in Harm if h not in LINK_WEIGHTS and done[h.value])
        back = (
            f"{data['recoveries']} times, {data['recovery_median_seconds']} s as a rule, "
            f"{data['recovery_longest_seconds']} s at most"
            if self.watch.recoveries
            else "the quorum was never lost"
        )
        wrong = "".join(f"\n  wrong      {problem}" for problem in self.problems[:SHOWN_DIFFERENCES])
        lost = "".join(
            f"\n  LOST       {push.oid} on {push.repo} {push.ref}, acknowledged by node {push.through}"
            for push in self.verdict.lost[:SHOWN_DIFFERENCES]
        )
        kept = (
            "" if self.is_well else f"\n  kept       {self.directory}: the nodes' directories and logs, history.jsonl"
        )
        return f"""\
{"nothing was lost, and every node tells the same" if self.is_well else "NOT WELL"}
  kills      {self.harmer.kills}
  processes  {processes or "none"}
  links      {links}
  pushes     {shares(self.record.pushes)}; lost {len(self.verdict.lost)}
  API        writes: {shares(self.record.writes)}; reads: {shares(self.record.reads, (ACKNOWLEDGED, "refused"))}
  chain      height {self.verdict.height}; at most {longest} without a block while a quorum was up
  came back  {back}; all nodes the same after {data["converged_seconds"]} s
  repeat     {self.command}{lost}{wrong}{kept}"""

    def append_to(self, ledger: Path) -> None:
        """Add this run as a line of JSON."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with ledger.open("a") as out:
            out.write(json.dumps({"at": at, **self.data()}) + "\n")
