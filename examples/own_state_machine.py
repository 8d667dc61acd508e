"""
A state machine of your own under Simplex agreement, in simulation: a ledger of coins that four nodes
keep together while they crash, lose each other, and one of them lies.

    python examples/own_state_machine.py 7
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256

import guts_core

Balances = Mapping[str, int]


class Coins:
    """``alice pays bob 3`` moves coins, if alice has them. States are never changed, only replaced."""

    def initial(self) -> Balances:
        """What everybody starts with."""
        return {"alice": 10, "bob": 0, "carol": 0}

    def apply(self, state: Balances, command: bytes) -> Balances:
        """The balances after a payment; a refused one stays in the log and moves nothing."""
        payer, _, payee, amount = command.decode().split()
        coins = int(amount)
        if state[payer] < coins:
            raise guts_core.Refused(f"{payer} has only {state[payer]}")
        return {**state, payer: state[payer] - coins, payee: state[payee] + coins}

    def root(self, state: Balances) -> bytes:
        """What every block says of the state, for every node to check."""
        return sha256(repr(sorted(state.items())).encode()).digest()


def main(seed: int) -> int:
    """Run one seed; 0 when every promise held."""
    payments = [b"alice pays bob 6", b"alice pays carol 6", b"bob pays carol 2", b"carol pays alice 1"]
    run = guts_core.simulate(Coins(), payments, seed=seed, nodes=4)
    print("agreed order:", ", ".join(command.decode() for command in run.order))
    print("balances on every honest node:", dict(run.state))
    print(f"{run.report.events} events with", ", ".join(f"{n} {what}" for what, n in run.report.faults.items()))
    print(run.report.problem or "every promise held")
    return 0 if run.report.problem is None else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
