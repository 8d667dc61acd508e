"""What a joining node wants done, in list order."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from .messages import Question


@frozen
class Ask:
    """Put this question to a peer; the answer, or that none came, is reported with the same number."""

    peer: int
    question: Question


@frozen
class Drop:
    """This peer lied or gave nothing: it is asked no more, and the reason is for the operator."""

    peer: int
    reason: str


@frozen
class Keep:
    """Hold these bytes under this name until the end: after a crash they are given back, and checked again."""

    name: str
    data: bytes


@frozen
class Forget:
    """The snapshot was a lie: nothing of it is to be kept."""


@frozen
class Build:
    """All is here: make a state of the pieces, and report its root."""


@frozen
class Install:
    """The root is the proven one: what was built takes the place of the state there was."""


Order: TypeAlias = Ask | Drop | Keep | Forget | Build | Install
