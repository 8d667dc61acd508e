"""Which parameters a network can run with, and how the operators change them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from attrs import evolve, fields

from guts_core.errors import Invalid
from guts_core.simplex.messages import BODY_BYTES_MAX

from .actions import UPDATES_MAX
from .decisions import Parameter, SetParameters
from .params import EXPIRY_MS_MAX, TRANSACTION_BYTES_MAX, Followers, Params, Registration

_DAY_MS = 24 * EXPIRY_MS_MAX
# A day of milliseconds bounds timings of agreement: a longer one is a unit mistaken.
BOUNDS: dict[str, tuple[int, int]] = {
    "delta_ms": (1, 60_000),
    "retry_ms": (1, 600_000),
    "heartbeat_ms": (1, _DAY_MS),
    "epoch_ms": (1, 366 * _DAY_MS),
    # Never below the largest legal transaction, or that one could never be included.
    "block_bytes_max": (TRANSACTION_BYTES_MAX + 16 * 1024, BODY_BYTES_MAX),
    "updates_max": (1, UPDATES_MAX),
    "refs_per_repository_max": (1, 1_000_000),
    "repositories_per_account_max": (1, 1_000_000),
    "quota_window_ms": (1, 366 * _DAY_MS),
    "quota_transactions": (1, 1 << 48),
    "quota_bytes": (1, 1 << 60),
}
# Parameters that are words for people and numbers in a decision.
WORDS: dict[str, type[Registration | Followers]] = {"registration": Registration, "followers": Followers}
# The bytes of a merge depend on it, so it changes with the rules.
FIXED = frozenset({"merge_engine"})
NAMES = tuple(field.name for field in fields(Params) if field.name not in FIXED)


def check_params(params: Params) -> None:
    """Raises Invalid for parameters that would stop the network or break a format."""
    for name, (least, most) in BOUNDS.items():
        if not least <= getattr(params, name) <= most:
            raise Invalid(f"parameter {name} is {getattr(params, name)}; it may be {least} to {most}")
    if params.merge_engine != "libgit2":
        raise Invalid(f"merge engine {params.merge_engine[:60]!r} is unknown to this build")


def parameter(name: str, text: str) -> Parameter:
    """A parameter as a person writes it; raises Invalid."""
    _check_name(name)
    kind = WORDS.get(name)
    if kind is None:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(1 << 60))):
            raise Invalid(f"parameter {name} is a whole number, not {text[:40]!r}")
        return Parameter(name, int(text))
    members = {member.name.lower(): member for member in kind}
    if text not in members:
        raise Invalid(f"parameter {name} is one of {', '.join(members)}, not {text[:40]!r}")
    return Parameter(name, int(members[text]))


def written(value: Parameter) -> int | str:
    """A parameter's value as people read it: a number, or the word that a number stands for."""
    kind = WORDS.get(value.name)
    return value.value if kind is None else kind(value.value).name.lower()


def tuned(params: Params, change: SetParameters) -> Params:
    """The parameters after a change; raises Invalid naming what cannot be."""
    names = [value.name for value in change.values]
    if any(not before < after for before, after in pairwise(names)):
        raise Invalid("parameters stand in ascending order of their names, each once")
    given: dict[str, Any] = {value.name: _value(value) for value in change.values}
    changed = evolve(params, **given)
    check_params(changed)
    return changed


def _value(value: Parameter) -> int:
    _check_name(value.name)
    kind = WORDS.get(value.name)
    if kind is None:
        return value.value
    if value.value not in set(kind):
        raise Invalid(f"parameter {value.name} is {value.value}; it may be {', '.join(str(int(one)) for one in kind)}")
    return kind(value.value)


def _check_name(name: str) -> None:
    if name in FIXED:
        raise Invalid(f"parameter {name} changes with the rules only")
    if name not in NAMES:
        raise Invalid(f"there is no parameter {name[:40]!r}; there are {', '.join(NAMES)}")
