"""
A test that runs in as many simulated networks as there are seeds, each with crashes, partitions, loss and
a validator that lies. It has no configuration: the pytest plugin comes with the distribution.

    pytest examples/simulated_test.py
    pytest examples/simulated_test.py --guts-seed 7
"""

from __future__ import annotations

from hashlib import sha256
from random import Random

from guts_core import Refused, Simulation, simulated

BOOKINGS = 20


class Seats:
    """Seats of a theatre, by number: whoever asks first has one. States are never changed, only replaced."""

    def initial(self) -> dict[str, str]:
        """Every seat is free."""
        return {}

    def apply(self, state: dict[str, str], command: bytes) -> dict[str, str]:
        """``ada 7`` takes seat seven for Ada."""
        guest, seat = command.decode().split()
        if seat in state:
            raise Refused(f"seat {seat} is {state[seat]}'s")
        return {**state, seat: guest}

    def root(self, state: dict[str, str]) -> bytes:
        """A hash of who sits where."""
        return sha256(repr(sorted(state.items())).encode()).digest()


def bookings(dice: Random) -> list[bytes]:
    """Three guests who like the same seats."""
    return [b"%s %d" % (dice.choice((b"ada", b"bob", b"cyd")), dice.randrange(8)) for _ in range(BOOKINGS)]


@simulated(Seats, bookings, nodes=4, seeds=20)
def test_the_first_of_the_agreed_order_has_the_seat(simulation: Simulation[dict[str, str]]) -> None:
    """Whatever breaks, nobody is given a seat twice."""
    first: dict[str, str] = {}
    for booking in simulation.order:
        guest, seat = booking.decode().split()
        first.setdefault(seat, guest)

    assert simulation.state == first  # noqa: S101 -- this is a test
    assert len(simulation.order) == BOOKINGS  # noqa: S101 -- this is a test
